"""The dialect ``cohere``: chat, embed and rerank of Cohere's API, version 2."""
