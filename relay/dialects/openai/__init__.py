"""The dialect ``openai``: Chat, Completions, Embeddings, Audio, Images, Moderations, and rerank beside them."""
