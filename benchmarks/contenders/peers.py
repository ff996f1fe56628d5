"""Gateways from PyPI and npm, each in a folder of its own in the cache."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from benchmarks.contenders.base import (
    Contender,
    Launch,
    Site,
    environment,
    needs_environment,
    output,
    path_of,
    pip_install,
    pip_version,
    python_of,
)
from benchmarks.places import cache
from benchmarks.questions import MODEL

# ── aiohttp, by hand ──────────────────────────────────────────────────────────────────


def _aiohttp(site: Site) -> Launch:
    script = Path(__file__).with_name("forward.py")
    return Launch((python_of("aiohttp"), script, str(site.port), str(site.upstream)))


AIOHTTP = Contender(
    name="aiohttp",
    title="a proxy by hand, on uvloop",
    missing=needs_environment("aiohttp"),
    launch=_aiohttp,
    version=lambda: pip_version("aiohttp", "aiohttp"),
    install=lambda: pip_install("aiohttp", "aiohttp", "uvloop"),
)

# ── LiteLLM ───────────────────────────────────────────────────────────────────────────


def _litellm(site: Site) -> Launch:
    upstream = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{site.upstream}/v1", "api_key": "sk-bench"}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": upstream}],
        "litellm_settings": {"telemetry": False},
    }
    path = site.folder / "litellm.yaml"
    path.write_text(json.dumps(config), "utf-8")  # JSON is YAML
    program = environment("litellm") / "bin" / "litellm"
    options = ("--host", "127.0.0.1", "--port", str(site.port), "--num_workers", "1", "--telemetry", "False")
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    env["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"  # no keys: less for it to do
    return Launch((program, "--config", path, *options), env, site.folder)


LITELLM = Contender(
    name="litellm",
    title="one worker, telemetry off, no database",
    missing=needs_environment("litellm"),
    launch=_litellm,
    version=lambda: pip_version("litellm", "litellm"),
    install=lambda: pip_install("litellm", "litellm[proxy]"),
    warm=3.0,
    patience=120.0,
)

# ── Portkey ───────────────────────────────────────────────────────────────────────────

_PORTKEY = {"@portkey-ai/gateway": "*", "@hono/node-server": "1.13.8"}


def _portkey_folder() -> Path:
    return cache() / "portkey"


def _portkey_script() -> Path:
    return _portkey_folder() / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"


def _install_portkey() -> None:
    """Newer versions of the HTTP server below it answer every stream with a 500 (seen 2026-11): pinned."""
    folder = _portkey_folder()
    folder.mkdir(exist_ok=True)
    package = {"private": True, "dependencies": _PORTKEY, "overrides": {"@hono/node-server": "1.13.8"}}
    (folder / "package.json").write_text(json.dumps(package), "utf-8")
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)


def _portkey_missing() -> str:
    if not path_of("node"):
        return "no node; on Debian: apt install nodejs npm"
    return "" if _portkey_script().exists() else "not installed; get it with: benchmarks/run setup portkey"


def _portkey(site: Site) -> Launch:
    env = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    return Launch(("node", _portkey_script(), f"--port={site.port}", "--headless"), env, site.folder)


def _portkey_version() -> str:
    manifest = _portkey_script().parent.parent / "package.json"
    version = json.loads(manifest.read_text("utf-8"))["version"]
    return f"@portkey-ai/gateway {version}, node {output(['node', '--version'])}"


PORTKEY = Contender(
    name="portkey",
    title="headless, target given by header",
    missing=_portkey_missing,
    launch=_portkey,
    version=_portkey_version,
    install=_install_portkey,
    extra=lambda site: (
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", f"http://127.0.0.1:{site.upstream}/v1"),
    ),
    warm=8.0,
)

# ── SGLang's router ───────────────────────────────────────────────────────────────────


def _sglang(site: Site) -> Launch:
    options = ("--host", "127.0.0.1", "--port", str(site.port), "--worker-urls", f"http://127.0.0.1:{site.upstream}")
    more = ("--policy", "round_robin", "--log-level", "error", "--disable-circuit-breaker", "--disable-retries")
    return Launch((python_of("sglang"), "-m", "sglang_router.launch_router", *options, *more), {}, site.folder)


SGLANG = Contender(
    name="sglang",
    title="sglang-router, round robin to one worker",
    missing=needs_environment("sglang"),
    launch=_sglang,
    version=lambda: pip_version("sglang", "sglang-router"),
    install=lambda: pip_install("sglang", "sglang-router"),
    patience=60.0,
)
