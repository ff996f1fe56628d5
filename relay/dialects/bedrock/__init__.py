"""The dialect ``bedrock``: Amazon Bedrock's Converse, ConverseStream and CountTokens; providers only."""
