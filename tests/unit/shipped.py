"""What the providers' documentation says about their addresses (read 2026-11), written down by hand.

Each line is compared with what relay makes of the provider's file. ``M`` is the model.
"""

from __future__ import annotations

import attrs

ENVIRON = {
    "GENERIC_BASE_URL": "http://127.0.0.1:8080/v1",
    "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/",
    "ANTHROPIC_FOUNDRY_RESOURCE": "res",
    "GOOGLE_CLOUD_PROJECT": "proj",
    "DATABRICKS_HOST": "https://work.cloud.databricks.com/",
    "SNOWFLAKE_ACCOUNT": "org-acc",
    "CLOUDFLARE_ACCOUNT_ID": "acc",
}
"""The variables without which some files cannot be used."""


@attrs.frozen
class Addresses:
    """Where a provider's requests go.

    Attributes:
        chat: where Chat Completions' clients end up.
        stream: the same for their streams, "" where that is the same.
        embeddings: where OpenAI's embeddings end up; "" where the provider has none.
        models: the model list; "" where the file has none.
        key: header field of the credential; "" where there is none, or each request is signed.
        responses: where Responses' clients end up; "" is as ``chat``.
        messages: where Messages' clients end up; "" is as ``chat``.
    """

    chat: str
    stream: str = ""
    embeddings: str = ""
    models: str = ""
    key: str = "authorization"
    responses: str = ""
    messages: str = ""


def like_openai(base: str, *, key: str = "authorization", responses: bool = False, messages: bool = False) -> Addresses:
    """A provider whose addresses all stand below one, as OpenAI's do."""
    return Addresses(
        chat=f"{base}/chat/completions",
        embeddings=f"{base}/embeddings",
        models=f"{base}/models",
        key=key,
        responses=f"{base}/responses" if responses else "",
        messages=f"{base}/messages" if messages else "",
    )


_GEMINI = "https://generativelanguage.googleapis.com/v1beta"
_VERTEX = "https://aiplatform.googleapis.com/v1/projects/proj/locations/global/publishers"
_BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com"
_AZURE = "https://res.openai.azure.com/openai"
_VERSION = "?api-version=2024-10-21"

SHIPPED: dict[str, Addresses] = {
    "ai21": like_openai("https://api.ai21.com/studio/v1"),
    "anthropic": Addresses(
        chat="https://api.anthropic.com/v1/messages", models="https://api.anthropic.com/v1/models", key="x-api-key"
    ),
    "azure": Addresses(
        chat=f"{_AZURE}/v1/chat/completions",
        embeddings=f"{_AZURE}/v1/embeddings",
        key="api-key",
        responses=f"{_AZURE}/v1/responses",
        messages=f"{_AZURE}/v1/responses",
    ),
    "azure-anthropic": Addresses(chat="https://res.services.ai.azure.com/anthropic/v1/messages", key="x-api-key"),
    "azure-deployments": Addresses(
        chat=f"{_AZURE}/deployments/M/chat/completions{_VERSION}",
        embeddings=f"{_AZURE}/deployments/M/embeddings{_VERSION}",
        key="api-key",
    ),
    "baseten": like_openai("https://inference.baseten.co/v1"),
    "bedrock": Addresses(chat=f"{_BEDROCK}/model/M/converse", stream=f"{_BEDROCK}/model/M/converse-stream", key=""),
    "bedrock-anthropic": Addresses(chat=f"{_BEDROCK}/anthropic/v1/messages"),
    "bedrock-key": Addresses(chat=f"{_BEDROCK}/model/M/converse", stream=f"{_BEDROCK}/model/M/converse-stream"),
    "bedrock-mantle": like_openai("https://bedrock-mantle.us-east-1.api.aws/v1", responses=True),
    "bedrock-openai": Addresses(
        chat=f"{_BEDROCK}/openai/v1/chat/completions", responses=f"{_BEDROCK}/openai/v1/responses"
    ),
    "cerebras": like_openai("https://api.cerebras.ai/v1"),
    "cloudflare": Addresses(
        chat="https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions",
        embeddings="https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/embeddings",
    ),
    "cohere": Addresses(
        chat="https://api.cohere.com/v2/chat",
        embeddings="https://api.cohere.com/v2/embed",
        models="https://api.cohere.com/v1/models?page_size=1000",
    ),
    "databricks": Addresses(
        chat="https://work.cloud.databricks.com/ai-gateway/mlflow/v1/chat/completions",
        embeddings="https://work.cloud.databricks.com/ai-gateway/mlflow/v1/embeddings",
    ),
    "deepinfra": like_openai("https://api.deepinfra.com/v1/openai"),
    "deepseek": Addresses(
        chat="https://api.deepseek.com/chat/completions",
        models="https://api.deepseek.com/models",
        messages="https://api.deepseek.com/anthropic/v1/messages",
    ),
    "featherless": like_openai("https://api.featherless.ai/v1"),
    "fireworks": like_openai("https://api.fireworks.ai/inference/v1", responses=True, messages=True),
    "friendli": like_openai("https://api.friendli.ai/serverless/v1"),
    "gemini": Addresses(
        chat=f"{_GEMINI}/models/M:generateContent",
        stream=f"{_GEMINI}/models/M:streamGenerateContent?alt=sse",
        embeddings=f"{_GEMINI}/models/M:batchEmbedContents",
        models=f"{_GEMINI}/models?pageSize=1000",
        key="x-goog-api-key",
    ),
    "gemini-openai": like_openai(f"{_GEMINI}/openai"),
    "generic": like_openai("http://127.0.0.1:8080/v1", responses=True, messages=True),
    "groq": like_openai("https://api.groq.com/openai/v1", responses=True),
    "huggingface": like_openai("https://router.huggingface.co/v1", responses=True),
    "hyperbolic": like_openai("https://api.hyperbolic.xyz/v1"),
    "inference-net": like_openai("https://api.inference.net/v1"),
    "jina": Addresses(chat="https://api.jina.ai/v1/chat/completions", embeddings="https://api.jina.ai/v1/embeddings"),
    "litellm": like_openai("http://127.0.0.1:4000/v1", responses=True, messages=True),
    "llamacpp": like_openai("http://127.0.0.1:8080/v1", key="", responses=True, messages=True),
    "lmstudio": like_openai("http://127.0.0.1:1234/v1", key="", responses=True, messages=True),
    "localai": like_openai("http://127.0.0.1:8080/v1", key="", messages=True),
    "minimax": Addresses(
        chat="https://api.minimax.io/v1/chat/completions",
        models="https://api.minimax.io/v1/models",
        responses="https://api.minimax.io/v1/responses",
        messages="https://api.minimax.io/anthropic/v1/messages",
    ),
    "mistral": like_openai("https://api.mistral.ai/v1"),
    "moonshot": Addresses(
        chat="https://api.moonshot.ai/v1/chat/completions",
        models="https://api.moonshot.ai/v1/models",
        responses="https://api.moonshot.ai/v1/responses",
        messages="https://api.moonshot.ai/anthropic/v1/messages",
    ),
    "nebius": like_openai("https://api.tokenfactory.nebius.com/v1"),
    "novita": like_openai("https://api.novita.ai/v3/openai"),
    "nvidia": like_openai("https://integrate.api.nvidia.com/v1"),
    "ollama-cloud": Addresses(
        chat="https://ollama.com/v1/chat/completions",
        embeddings="https://ollama.com/v1/embeddings",
        models="https://ollama.com/api/tags",
        responses="https://ollama.com/v1/responses",
        messages="https://ollama.com/v1/messages",
    ),
    "ollama-local": Addresses(
        chat="http://127.0.0.1:11434/v1/chat/completions",
        embeddings="http://127.0.0.1:11434/v1/embeddings",
        models="http://127.0.0.1:11434/api/tags",
        key="",
        responses="http://127.0.0.1:11434/v1/responses",
        messages="http://127.0.0.1:11434/v1/messages",
    ),
    "openai": Addresses(
        chat="https://api.openai.com/v1/chat/completions",
        embeddings="https://api.openai.com/v1/embeddings",
        models="https://api.openai.com/v1/models",
        responses="https://api.openai.com/v1/responses",
        messages="https://api.openai.com/v1/responses",
    ),
    "openrouter": like_openai("https://openrouter.ai/api/v1", responses=True, messages=True),
    "ovhcloud": like_openai("https://oai.endpoints.kepler.ai.cloud.ovh.net/v1"),
    "perplexity": Addresses(
        chat="https://api.perplexity.ai/v1/responses",
        embeddings="https://api.perplexity.ai/v1/embeddings",
        models="https://api.perplexity.ai/v1/models",
    ),
    "qwen": Addresses(
        chat="https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions",
        embeddings="https://dashscope-intl.aliyuncs.com/compatible-mode/v1/embeddings",
        models="https://dashscope-intl.aliyuncs.com/compatible-mode/v1/models",
        responses="https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1/responses",
        messages="https://dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages",
    ),
    "sambanova": like_openai("https://api.sambanova.ai/v1"),
    "scaleway": like_openai("https://api.scaleway.ai/v1"),
    "sglang": like_openai("http://127.0.0.1:30000/v1", key=""),
    "siliconflow": like_openai("https://api.siliconflow.com/v1", messages=True),
    "snowflake": Addresses(chat="https://org-acc.snowflakecomputing.com/api/v2/cortex/v1/chat/completions"),
    "together": like_openai("https://api.together.ai/v1"),
    "upstage": Addresses(
        chat="https://api.upstage.ai/v1/chat/completions", embeddings="https://api.upstage.ai/v1/embeddings"
    ),
    "vercel": like_openai("https://ai-gateway.vercel.sh/v1", responses=True, messages=True),
    "vertex": Addresses(
        chat=f"{_VERTEX}/google/models/M:generateContent",
        stream=f"{_VERTEX}/google/models/M:streamGenerateContent?alt=sse",
        embeddings=f"{_VERTEX}/google/models/M:predict",
        key="",
    ),
    "vertex-claude": Addresses(
        chat=f"{_VERTEX}/anthropic/models/M:rawPredict",
        stream=f"{_VERTEX}/anthropic/models/M:streamRawPredict",
        key="",
    ),
    "vllm": like_openai("http://127.0.0.1:8000/v1", key="", responses=True, messages=True),
    "volcengine": Addresses(
        chat="https://ark.cn-beijing.volces.com/api/v3/chat/completions",
        embeddings="https://ark.cn-beijing.volces.com/api/v3/embeddings",
        models="https://ark.cn-beijing.volces.com/api/v3/models",
        responses="https://ark.cn-beijing.volces.com/api/v3/responses",
    ),
    "voyage": Addresses(
        chat="https://api.voyageai.com/v1/chat/completions", embeddings="https://api.voyageai.com/v1/embeddings"
    ),
    "wandb": like_openai("https://api.inference.wandb.ai/v1"),
    "xai": Addresses(
        chat="https://api.x.ai/v1/chat/completions",
        models="https://api.x.ai/v1/models",
        responses="https://api.x.ai/v1/responses",
        messages="https://api.x.ai/v1/responses",
    ),
    "zai": Addresses(
        chat="https://api.z.ai/api/paas/v4/chat/completions",
        embeddings="https://api.z.ai/api/paas/v4/embeddings",
        messages="https://api.z.ai/api/anthropic/v1/messages",
    ),
}
"""File → what is documented. Those for vectors alone (``jina``, ``voyage``) have no chat; theirs goes nowhere else."""
