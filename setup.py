"""Packaging of relay: the package, its twistd plugin and the provider files."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.findall(r'^VERSION = "([^"]+)"', (HERE / "relay" / "version.py").read_text("utf-8"), re.MULTILINE)[0]

setup(
    name="relay-gateway",
    version=VERSION,
    description="One address in front of many language-model providers: a streaming gateway on Twisted.",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[*find_packages(include=["relay", "relay.*"]), "relay.transformer", "twisted.plugins"],
    # The provider files live at the top of the checkout and travel as relay.transformer.
    package_dir={"relay.transformer": "transformer"},
    package_data={"relay.transformer": ["*.json"], "relay": ["py.typed"]},
    zip_safe=False,
    entry_points={"console_scripts": ["relay = relay.cli.main:main"]},
    # Why each is there: docs/dependencies.md. Twisted has an upper bound because the
    # stream abort and the request body reach below its public surface.
    install_requires=[
        "twisted>=26.10,<27",
        "treq>=26.7",
        "pyopenssl>=26.4",
        "service-identity>=26.1",
        "prometheus-client>=0.26",
        "sentry-sdk>=2.75",
        "attrs>=26.1",
        "msgspec>=0.22",
        "multipart>=2.0.1",
        "zope.interface>=8.7",
    ],
    extras_require={
        "dev": [
            "coverage>=7.17",
            "h11>=0.16",
            "hypothesis>=6.170",
            "jsonschema>=4.26",
            "mypy>=2.4",
            "mypy-zope>=1.0.17",
            "ruff>=0.17",
            "towncrier>=26.9",
            "build>=1.6",
            "packaging>=26.0",
            "PyYAML>=6.0",
            "types-PyYAML",
            "types-jsonschema",
            "openai>=3.54",
            "anthropic>=2.12",
            "google-genai>=3.3",
            "cohere>=7.3",
            "ollama>=0.6",
            "langchain-openai>=1.7",
            "langchain-anthropic>=1.7",
            "httpx>=0.28",  # what the SDKs agree on; without it older pips try every release in turn
            "botocore>=1.44",  # its description of Converse is what Bedrock takes
        ],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: Twisted",
        "License :: OSI Approved :: MIT License",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Internet :: Proxy Servers",
    ],
)
