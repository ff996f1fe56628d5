"""Configuration that is wrong, one fault each, and what the error must say."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

KEY = "sk-live-4f9a1c77de02b8"
"""A key in a place where none belongs; it must not turn up in an error."""


@attrs.frozen
class Broken:
    """One wrong file.

    Attributes:
        text: the file.
        where: what stands between the file's name and the message: a path, or line and column.
        says: a part of the message.
        near: the name it must propose, or None.
        structural: whether a JSON Schema can see the fault, too.
        environ: the environment.
    """

    text: str
    where: str
    says: str
    near: str | None = None
    structural: bool = False
    environ: Mapping[str, str] = attrs.field(factory=dict)


def provider(where: str, says: str, near: str | None = None, /, **members: object) -> Broken:
    """A provider file that lacks nothing but what is wrong with the members; the schema sees it."""
    text = json.dumps({"baseUrl": "https://api.example", **members})
    return Broken(text, f": {where}: ", says, near, structural=True)


def odd(where: str, says: str, near: str | None = None, /, **members: object) -> Broken:
    """The same, but only the loader can see that it makes no sense."""
    return attrs.evolve(provider(where, says, near, **members), structural=False)


def config(where: str, says: str, near: str | None = None, /, **members: object) -> Broken:
    """A config file with a fault that the schema sees."""
    return Broken(json.dumps({"providers": ["good"], **members}), f": {where}: ", says, near, structural=True)


def odd_config(
    where: str, says: str, near: str | None = None, /, environ: Mapping[str, str] | None = None, **members: object
) -> Broken:
    """A config file with a fault that only the loader sees."""
    return attrs.evolve(config(where, says, near, **members), structural=False, environ=environ or {})


TEXT = {
    "empty": Broken("", ":1:1: ", "the file is empty"),
    "blank": Broken(" \n ", ":2:2: ", "the file is empty"),
    "not json": Broken("baseUrl: x", ":1:1: ", "not JSON"),
    "no comma": Broken('{\n  "baseUrl": "x"\n  "port": 1\n}', ":3:3: ", "not JSON: expecting ',' delimiter"),
    "comma at the end": Broken('{"baseUrl": "x",}', ":1:", "not JSON"),
    "single quotes": Broken("{'baseUrl': 'x'}", ":1:2: ", "not JSON"),
    "comment": Broken('{\n// hello\n"baseUrl": "x"}', ":2:1: ", "not JSON"),
    "cut": Broken('{"baseUrl": "https://api.ex', ":1:13: ", "not JSON: unterminated string"),
    "two documents": Broken('{"baseUrl": "x"}\n{}', ":2:1: ", "not JSON: extra data"),
    "line break in a string": Broken('{"baseUrl": "a\nb"}', ":1:", "not JSON: invalid control character"),
    "list": Broken("[]", ": $: ", "expected an object"),
    "null": Broken("null", ": $: ", "expected an object"),
    "NaN": Broken('{"baseUrl": "x", "timeouts": {"idle": NaN}}', ": $.timeouts.idle: ", "NaN is not JSON"),
    "Infinity": Broken(
        '{"baseUrl": "x", "params": [{"name": "a", "max": -Infinity}]}', ": $.params[0].max: ", "-Infinity"
    ),
    "1e400": Broken('{"baseUrl": "x", "timeouts": {"idle": 1e400}}', ": $.timeouts.idle: ", "out of range"),
    "5000 digits": Broken('{"baseUrl": "x", "port": ' + "9" * 5000 + "}", ": $.port: ", "out of range"),
    "key twice": Broken('{"baseUrl": "x", "baseUrl": "y"}', ": $.baseUrl: ", "the key is given twice"),
    "nested key twice": Broken(
        '{"baseUrl": "x", "endpoints": {"/v1/embeddings": {"method": "PUT", "method": "POST"}}}',
        ': $.endpoints["/v1/embeddings"].method: ',
        "the key is given twice",
    ),
    "lone surrogate": Broken('{"baseUrl": "x", "docs": "\\ud83d"}', ": $.docs: ", "surrogate"),
    "lone surrogate in a key": Broken('{"baseUrl": "x", "\\ud83d": 1}', ': $["\\ud83d"]: ', "surrogate"),
    "deep": Broken("[" * 100_000, ": ", "nested too deeply"),
    "deep object": Broken('{"a":' * 700 + "1" + "}" * 700, ": ", "nested too deeply"),
}
"""Files that are no acceptable JSON."""

SHAPE = {
    "no baseUrl": Broken("{}", ": $: ", "expected the key 'baseUrl'", structural=True),
    "misspelled baseUrl": Broken('{"base_url": "x"}', ": $.base_url: ", "unknown key", "baseUrl", structural=True),
    "wrong case": Broken('{"baseURL": "x"}', ": $.baseURL: ", "unknown key", "baseUrl", structural=True),
    "unknown key": provider("$.zzz", "unknown key; expected one of $schema, auth, baseUrl", zzz=1),
    "key in the file": provider("$.apiKey", "unknown key", apiKey=KEY),
    "near key": provider("$.modelMap", "unknown key", "modelMapping", modelMap={}),
    "line break in a key": provider('$["a\\nb"]', "unknown key", **{"a\nb": 1}),
    "baseUrl number": provider("$.baseUrl", "expected a string that is not empty, got 5", baseUrl=5),
    "baseUrl null": provider("$.baseUrl", "got null", baseUrl=None),
    "baseUrl empty": provider("$.baseUrl", "expected a string that is not empty, got an empty string", baseUrl=""),
    "name empty": provider("$.name", "expected a string that is not empty", name=""),
    "name list": provider("$.name", "got a list", name=["a"]),
    "dialect": provider("$.dialect", "expected one of openai, responses, anthropic", "anthropic", dialect="antropic"),
    "dialect far off": provider("$.dialect", "expected one of openai", dialect=KEY),
    "dialect number": provider("$.dialect", "got 3", dialect=3),
    "port text": provider("$.port", "expected a whole number at least 1 and at most 65535, got a string", port="8000"),
    "port zero": provider("$.port", "at least 1", port=0),
    "port large": provider("$.port", "at most 65535, got 70000", port=70000),
    "port fraction": provider("$.port", "got 80.5", port=80.5),
    "port true": provider("$.port", "got true", port=True),
    "headers list": provider("$.headers", "expected an object, got a list", headers=["a"]),
    "header name": provider('$.headers["a b"]', "expected as key an HTTP field name", headers={"a b": "c"}),
    "header name line break": provider('$.headers["a\\n"]', "an HTTP field name", headers={"a\n": "c"}),
    "header value number": provider('$.headers["x-n"]', "got 1", headers={"x-n": 1}),
    "header value line break": provider('$.headers["x-n"]', "printable ASCII", headers={"x-n": "a\r\nx-evil: 1"}),
    "header value last line break": provider('$.headers["x-n"]', "printable ASCII", headers={"x-n": f"{KEY}\n"}),
    "header value umlaut": provider('$.headers["x-n"]', "printable ASCII", headers={"x-n": "ü"}),
    "auth text": provider("$.auth", "expected an object, got a string", auth=KEY),
    "auth key": provider("$.auth.key", "unknown key", "keys", auth={"key": KEY}),
    "auth near key": provider("$.auth.environment", "unknown key", auth={"environment": "A"}),
    "auth scheme": provider("$.auth.scheme", "expected one of none, bearer", "bearer", auth={"scheme": "Baerer"}),
    "auth env is a key": provider("$.auth.env", "the name of an environment variable", auth={"env": KEY}),
    "auth keys text": provider("$.auth.keys[0]", "expected an object, got a string", auth={"keys": ["A"]}),
    "auth keys empty": provider("$.auth.keys", "a list that is not empty, got an empty list", auth={"keys": []}),
    "auth keys key": provider(
        "$.auth.keys[1].env", "environment variable", auth={"keys": [{"env": "A"}, {"env": KEY}]}
    ),
    "auth file empty": provider("$.auth.file", "got an empty string", auth={"file": ""}),
    "auth parameter": provider("$.auth.parameter", "query parameter", auth={"scheme": "query", "parameter": "a b"}),
    "vars list": provider("$.vars", "expected an object", vars=[]),
    "vars name": provider('$.vars["a-b"]', "a variable's name", vars={"a-b": "x"}),
    "vars number": provider("$.vars.A", "expected a string or an object, got 1", vars={"A": 1}),
    "vars key": provider("$.vars.A.defaults", "unknown key", "default", vars={"A": {"env": "B", "defaults": "x"}}),
    "vars env": provider("$.vars.A.env", "the name of an environment variable", vars={"A": {"env": "1B"}}),
    "mapping list": provider("$.modelMapping", "expected an object, got a list", modelMapping=["a"]),
    "mapping number": provider('$.modelMapping["gpt-4"]', "got 4", modelMapping={"gpt-4": 4}),
    "mapping empty": provider("$.modelMapping.a", "got an empty string", modelMapping={"a": ""}),
    "mapping from empty": provider('$.modelMapping[""]', "expected as key a string", modelMapping={"": "a"}),
    "models text": provider("$.models", "expected a list or an object, got a string", models="gpt"),
    "models number": provider("$.models[1]", "expected a string that is not empty, got 7", models=["a", 7]),
    "models empty name": provider("$.models[0]", "got an empty string", models=[""]),
    "models path": provider("$.models.path", "a path at the provider", models={"path": "v1/models"}),
    "models url": provider("$.models.url", "unknown key", models={"url": "/v1/models"}),
    "models nothing": provider("$.models", "expected the key 'path'", models={}),
    "endpoints list": provider("$.endpoints", "expected an object", endpoints=[]),
    "endpoint key": provider('$.endpoints["v1/embeddings"]', "a public path", endpoints={"v1/embeddings": {}}),
    "endpoint text": provider(
        '$.endpoints["/v1/embeddings"]', "expected an object, got a string", endpoints={"/v1/embeddings": "/embed"}
    ),
    "endpoint member": provider(
        '$.endpoints["/v1/embeddings"].upstream',
        "unknown key",
        "upstreamPath",
        endpoints={"/v1/responses": {}, "/v1/embeddings": {"upstream": "/x"}},
    ),
    "endpoint burst": provider(
        '$.endpoints["/v1/embeddings"].rateLimit.burst',
        "expected a whole number at least 0 and at most 1000000000, got a string",
        endpoints={"/v1/embeddings": {"rateLimit": {"burst": "many"}}},
    ),
    "endpoint stream": provider(
        '$.endpoints["/v1/embeddings"].streamSupport',
        "expected true or false, got a string",
        endpoints={"/v1/embeddings": {"streamSupport": "yes"}},
    ),
    "endpoint method": provider(
        '$.endpoints["/v1/embeddings"].method', "an HTTP method", endpoints={"/v1/embeddings": {"method": "POST "}}
    ),
    "rate negative": provider(
        "$.rateLimit.requestsPerMinute",
        "at least 0 and at most 1000000000, got -1",
        rateLimit={"requestsPerMinute": -1},
    ),
    "rate name": provider(
        "$.rateLimit.requests_per_minute", "unknown key", "requestsPerMinute", rateLimit={"requests_per_minute": 1}
    ),
    "stream buffer": provider("$.streamConfig.bufferSize", "at least 1", streamConfig={"bufferSize": 0}),
    "stream heartbeat": provider(
        "$.streamConfig.heartbeatIntervalSecs", "got -3", streamConfig={"heartbeatIntervalSecs": -3}
    ),
    "stream name": provider(
        "$.streamConfig.heartbeat", "unknown key", "heartbeatIntervalSecs", streamConfig={"heartbeat": 3}
    ),
    "timeout zero": provider(
        "$.timeouts.connect", "a number above 0 and at most 86400, got 0", timeouts={"connect": 0}
    ),
    "timeout text": provider("$.timeouts.total", "got a string", timeouts={"total": "10s"}),
    "timeout name": provider("$.timeouts.first_byte", "unknown key", "firstByte", timeouts={"first_byte": 1}),
    "params object": provider("$.params", "expected a list, got an object", params={"name": "a"}),
    "params no name": provider("$.params[0]", "expected the key 'name'", params=[{"drop": True}]),
    "params max": provider(
        "$.params[1].max",
        "expected a number, got a string",
        params=[{"name": "a", "drop": True}, {"name": "b", "max": "9"}],
    ),
    "params name": provider("$.params[0].rename", "unknown key", "name", params=[{"name": "a", "rename": "b"}]),
    "quirk": provider(
        "$.quirks[0]", "expected one of no-stream-usage, normalise", "no-stream-usage", quirks=["no-streaming-usage"]
    ),
    "docs": provider("$.docs", "got true", docs=True),
    "concurrency": provider("$.concurrency", "got -1", concurrency=-1),
    "price": provider("$.prices.m.input", "got -1", prices={"m": {"input": -1}}),
    "tls": provider("$.tls.verify", "unknown key; expected one of ca, cert, key", tls={"verify": False}),
    "proxy": provider("$.proxy", "address of a proxy", proxy="socks5://p"),
}
"""Provider files that a JSON Schema refuses, too."""

SENSE = {
    "url scheme": odd("$.baseUrl", "http:// or https://", baseUrl="ftp://api.example"),
    "url scheme echo": odd("$.baseUrl", "echo://local", baseUrl="echo://elsewhere"),
    "url password": odd("$.baseUrl", "without user and password", baseUrl=f"https://u:{KEY}@api.example"),
    "url fragment": odd("$.baseUrl", "without a fragment", baseUrl="https://api.example/#v1"),
    "url no host": odd("$.baseUrl", "valid host", baseUrl="https:///v1"),
    "url port": odd("$.baseUrl", "port from 1 to 65535", baseUrl="https://api.example:99999"),
    "url port zero": odd("$.baseUrl", "port from 1 to 65535", baseUrl="https://api.example:0"),
    "url port missing": odd("$.baseUrl", "port from 1 to 65535", baseUrl="https://api.example:/v1"),
    "url blank": odd("$.baseUrl", "without blanks", baseUrl="https://api example"),
    "url line break": odd("$.baseUrl", "control characters", baseUrl="https://api.example\r\nHost: evil"),
    "url umlaut": odd("$.baseUrl", "ASCII", baseUrl="https://bücher.example"),
    "url host": odd("$.baseUrl", "valid host", baseUrl="https://-a-.example"),
    "url bracket": odd("$.baseUrl", "valid host", baseUrl="https://[::1/v1"),
    "url model": odd("$.baseUrl", "{model} may stand in upstreamPath only", baseUrl="https://{model}.example"),
    "url percent": odd("$.baseUrl", "%XX", baseUrl="https://api.example/a%zz"),
    "var undeclared": odd(
        "$.baseUrl", "${HOTS} is not declared", "HOST", baseUrl="https://${HOTS}/", vars={"HOST": "a"}
    ),
    "var line break": odd("$.baseUrl", "${a\\x0ab} is not declared", baseUrl="https://${a\nb}"),
    "var open": odd("$.baseUrl", "expected '}'", baseUrl="https://${HOST/v1", vars={"HOST": "a"}),
    "var not set": odd(
        "$.vars.HOST", "environment variable H is not set", baseUrl="https://${HOST}", vars={"HOST": {"env": "H"}}
    ),
    "var two": odd("$.vars.A", "either 'value' or 'env'", vars={"A": {"value": "x", "env": "B"}}),
    "var default": odd("$.vars.A.default", "goes with 'env'", vars={"A": {"value": "x", "default": "y"}}),
    "var none": odd("$.vars.A", "expected 'value' or 'env'", vars={"A": {"default": "y"}}),
    "var none in a header": odd('$.headers["x-t"]', "is not declared", headers={"x-t": "${T}"}),
    "var with line break": odd('$.headers["x-t"]', "printable ASCII", headers={"x-t": "a${T}b"}, vars={"T": "x\ny"}),
    "header twice": odd('$.headers["X-A"]', "given twice", headers={"x-a": "1", "X-A": "2"}),
    "endpoint unknown": odd(
        '$.endpoints["/v1/chat/completion"]',
        "a path that relay serves",
        "/v1/chat/completions",
        endpoints={"/v1/chat/completion": {}},
    ),
    "endpoint far off": odd('$.endpoints["/x"]', "a path that relay serves", endpoints={"/x": {}}),
    "endpoint twice": odd(
        '$.endpoints["/embeddings"]', "given twice", endpoints={"/v1/embeddings": {}, "/embeddings": {}}
    ),
    "path scheme": odd(
        '$.endpoints["/v1/rerank"].upstreamPath',
        "http:// or https://",
        endpoints={"/v1/rerank": {"upstreamPath": "ws://a/b"}},
    ),
    "path downgrade": odd(
        '$.endpoints["/v1/rerank"].upstreamPath',
        "travel unencrypted",
        endpoints={"/v1/rerank": {"upstreamPath": "http://api.example/rerank"}},
    ),
    "path model host": odd(
        '$.endpoints["/v1/rerank"].upstreamPath',
        "valid host",
        endpoints={"/v1/rerank": {"upstreamPath": "https://{model}.example/rerank"}},
    ),
    "path placeholder": odd(
        '$.endpoints["/v1/rerank"].upstreamPath',
        "no other placeholder than {model}",
        endpoints={"/v1/rerank": {"upstreamPath": "/{modle}/rerank"}},
    ),
    "path blank": odd(
        '$.endpoints["/v1/rerank"].upstreamPath', "%XX", endpoints={"/v1/rerank": {"upstreamPath": "/re rank"}}
    ),
    "path line break": odd(
        '$.endpoints["/v1/rerank"].upstreamPath', "%XX", endpoints={"/v1/rerank": {"upstreamPath": "/re\r\nx: y"}}
    ),
    "path fragment": odd(
        '$.endpoints["/v1/rerank"].upstreamPath', "fragment", endpoints={"/v1/rerank": {"upstreamPath": "/re#rank"}}
    ),
    "method": odd(
        '$.endpoints["/v1/rerank"].method', "GET, POST, PUT", "PATCH", endpoints={"/v1/rerank": {"method": "PATHC"}}
    ),
    "multipart": odd(
        '$.endpoints["/v1/embeddings"].requiresMultipart',
        "takes JSON only",
        endpoints={"/v1/embeddings": {"requiresMultipart": True}},
    ),
    "auth none with env": odd("$.auth", "scheme none sends no credential", auth={"scheme": "none", "env": "A"}),
    "auth two": odd("$.auth", "either 'env' or 'file'", auth={"env": "A", "file": "b"}),
    "auth parameter": odd("$.auth.parameter", "only scheme query", auth={"parameter": "k"}),
    "auth sigv4 region": odd("$.auth", "needs a 'region'", auth={"scheme": "sigv4"}),
    "auth sigv4 odd region": odd("$.auth.region", "such as us-east-1", auth={"scheme": "sigv4", "region": "US East"}),
    "auth sigv4 no variable": odd("$.auth.region", "not declared", auth={"scheme": "sigv4", "region": "${R}"}),
    "auth sigv4 two": odd(
        "$.auth.accessKeyId",
        "either 'env' or 'file'",
        auth={"scheme": "sigv4", "region": "r", "accessKeyId": {"env": "A", "file": "b"}},
    ),
    "auth sigv4 half": attrs.evolve(
        odd("$.auth", "environment variable AWS_ACCESS_KEY_ID is not set", auth={"scheme": "sigv4", "region": "r"}),
        environ={"AWS_SECRET_ACCESS_KEY": KEY},
    ),
    "auth region": odd("$.auth.region", "only scheme sigv4 has a region", auth={"env": "A", "region": "r"}),
    "auth service": odd("$.auth.service", "only scheme sigv4", auth={"scheme": "gcp", "service": "bedrock"}),
    "auth gcp two": odd("$.auth", "either 'env' or 'file'", auth={"scheme": "gcp", "env": "A", "file": "b"}),
    "auth gcp no file": odd("$.auth.file", "cannot be read", auth={"scheme": "gcp", "file": "missing.json"}),
    "auth gcp text": attrs.evolve(
        odd("$.auth.env", "not a service account's key file", auth={"scheme": "gcp", "env": "A"}),
        environ={"A": '{"type": "service_account", "private_key": "' + KEY + '"}'},
    ),
    "auth gcp user": attrs.evolve(
        odd("$.auth.env", "its type is another one", auth={"scheme": "gcp", "env": "A"}),
        environ={"A": '{"type": "authorized_user", "client_email": "", "private_key": "' + KEY + '"}'},
    ),
    "auth gcp key": attrs.evolve(
        odd("$.auth.env", "private_key is not an RSA key in PEM", auth={"scheme": "gcp", "env": "A"}),
        environ={"A": '{"type": "service_account", "client_email": "a@b", "private_key": "' + KEY + '"}'},
    ),
    "auth gcp address": attrs.evolve(
        odd("$.auth.env", "expected an https:// address in token_uri", auth={"scheme": "gcp", "env": "A"}),
        environ={
            "A": '{"type": "service_account", "client_email": "a", "private_key": "", "token_uri": "http://evil/"}'
        },
    ),
    "auth no file": odd("$.auth.file", "cannot be read: no such file", auth={"file": "missing.key"}),
    "auth null character": odd("$.auth.file", "holds a null character", auth={"file": "a\0b"}),
    "auth folder": odd("$.auth.file", "not a regular file", auth={"file": "."}),
    "auth twice": odd(
        "$.headers.Authorization", "expected one credential", headers={"Authorization": KEY}, auth={"env": "A"}
    ),
    "mapping blank": odd("$.modelMapping.a", "not blank", modelMapping={"a": " "}),
    "models blank": odd("$.models[0]", "not blank", models=[" "]),
    "models twice": odd("$.models[2]", "listed twice", models=["a", "b", "a"]),
    "models path model": odd("$.models.path", "no other placeholder", models={"path": "/{x}"}),
    "params min max": odd("$.params[0].min", "not above 'max'", params=[{"name": "t", "min": 2, "max": 1}]),
    "params model": odd(
        "$.params[0].name", "relay sets the field 'model' itself", params=[{"name": "model", "drop": True}]
    ),
    "params stream": odd(
        "$.params[0].to", "relay sets the field 'stream' itself", params=[{"name": "a", "to": "stream"}]
    ),
    "params drop": odd("$.params[0].max", "that is dropped", params=[{"name": "a", "drop": True, "max": 1}]),
    "params nothing": odd("$.params[0]", "at least one of drop, to, min", params=[{"name": "a"}]),
    "params twice": odd(
        "$.params[1].name", "has a row already", params=[{"name": "a", "max": 1}, {"name": "a", "min": 0}]
    ),
    "auth none with keys": odd("$.auth", "remove 'keys'", auth={"scheme": "none", "keys": [{"env": "A"}]}),
    "auth keys beside env": odd("$.auth", "expected either 'keys'", auth={"env": "A", "keys": [{"env": "B"}]}),
    "auth keys of nothing": odd("$.auth.keys[0]", "expected 'env' or 'file'", auth={"keys": [{}]}),
    "auth keys two": odd("$.auth.keys[0]", "not both", auth={"keys": [{"env": "A", "file": "b"}]}),
    "auth keys source twice": odd(
        "$.auth.keys[1]", "environment variable A is listed twice", auth={"keys": [{"env": "A"}, {"env": "A"}]}
    ),
    "auth keys twice": attrs.evolve(
        odd("$.auth.keys[1]", "B is the same as that in env", auth={"keys": [{"env": "A"}, {"env": "B"}]}),
        environ={"A": KEY, "B": KEY},
    ),
    "auth keys malformed": attrs.evolve(
        odd("$.auth.keys[1].env", "variable B holds a blank", auth={"keys": [{"env": "A"}, {"env": "B"}]}),
        environ={"A": KEY, "B": f"{KEY} {KEY}"},
    ),
    "auth keys no file": odd("$.auth.keys[0].file", "cannot be read", auth={"keys": [{"file": "missing.key"}]}),
    "auth keys sigv4": odd(
        "$.auth.keys", "takes one credential", auth={"scheme": "sigv4", "region": "r", "keys": [{"env": "A"}]}
    ),
    "auth keys gcp": odd("$.auth.keys", "takes one credential", auth={"scheme": "gcp", "keys": [{"env": "A"}]}),
    "prices": odd("$.prices", "does not serve prices yet", prices={"m": {"input": 1}}),
    "tls": odd("$.tls", "does not serve per-provider TLS settings yet", tls={"ca": "ca.pem"}),
    "proxy": odd("$.proxy", "does not serve upstream proxies yet", proxy="http://proxy:3128"),
}
"""Provider files that are well formed and make no sense."""

SHORT, LONG = {"K": "short"}, {"K": KEY, "L": KEY}

CONFIG = {
    "config unknown": config("$.provider", "unknown key", "providers", provider=["a"]),
    "config providers": config("$.providers", "expected a list, got a string", providers="openai"),
    "config provider": config(
        "$.providers[0]", "expected a string that is not empty or an object, got 5", providers=[5]
    ),
    "config provider empty": config("$.providers[1]", "got an empty string", providers=["good", ""]),
    "config entry key": config("$.providers[0].model", "unknown key", providers=[{"file": "good", "model": "m"}]),
    "config entry name": config(
        "$.providers[0].name", "a name of letters", providers=[{"file": "good", "name": "a b"}]
    ),
    "config entry deep": config(
        '$.providers[0].endpoints["/v1/rerank"].method',
        "an HTTP method",
        providers=[{"file": "good", "endpoints": {"/v1/rerank": {"method": "1"}}}],
    ),
    "config clientKeys": config("$.clientKeys[0]", "expected the key 'name'", clientKeys=[{"env": "K"}]),
    "config clientKeys value": config("$.clientKeys[0].value", "unknown key", clientKeys=[{"name": "a", "value": KEY}]),
    "config clientKeys text": config("$.clientKeys[0]", "expected an object, got a string", clientKeys=[KEY]),
    "config clientKeys env": config(
        "$.clientKeys[0].env", "environment variable", clientKeys=[{"name": "a", "env": KEY}]
    ),
    "config listen": config("$.listen", "expected a list, got a string", listen="tcp:8000"),
    "config listen empty": config("$.listen[0]", "got an empty string", listen=[""]),
    "config timeouts": config("$.timeouts.requestHeader", "unknown key", "requestHead", timeouts={"requestHeader": 1}),
    "config timeouts drain": config("$.timeouts.drain", "at least 0 and at most 86400, got -1", timeouts={"drain": -1}),
    "config server": config("$.server.body", "at least 1024", server={"body": 1}),
    "config server name": config("$.server.cors", "unknown key", "corsOrigins", server={"cors": []}),
    "config store": config("$.store.url", "sqlite:///FILE", store={"url": "mysql://x"}),
    "config redis": config("$.redis.url", "redis://", redis={"url": "http://x"}),
    "config unserved store": odd_config("$.store", "does not serve the usage store yet", store={"url": "sqlite:///a"}),
    "config unserved redis": odd_config("$.redis", "does not serve limits shared", redis={"url": "redis://a"}),
    "config unserved admin": odd_config("$.admin", "does not serve the admin", admin={"listen": "tcp:1", "auth": {}}),
    "config unserved in an entry": odd_config(
        "$.providers[0].proxy", "does not serve upstream proxies", providers=[{"file": "good", "proxy": "http://p"}]
    ),
    "config no such provider": odd_config("$.providers[0]", "unknown provider 'goood'", "good", providers=["goood"]),
    "config no such file": odd_config("$.providers[0]", "there is no provider file", providers=["./none.json"]),
    "config null character": odd_config("$.providers[0]", "there is no provider file", providers=["./a\0.json"]),
    "config no such base": odd_config("$.providers[0].file", "unknown provider 'x-y-z'", providers=[{"file": "x-y-z"}]),
    "config hidden": odd_config("$.providers[0]", "unknown provider '_schema'", providers=["_schema"]),
    "config entry of nothing": odd_config("$.providers[0]", "expected 'file'", providers=[{"name": "good"}]),
    "config entry without name": odd_config(
        "$.providers[0]", "expected the key 'name'", providers=[{"baseUrl": "https://a.example"}]
    ),
    "config same name": odd_config(
        "$.providers[1]", "two different providers are called 'good'", providers=["good", {"file": "good", "port": 9}]
    ),
    "config nobody": Broken('{"providers": []}', "", "no provider is chosen"),
    "config override": odd_config(
        '$.providers[0].endpoints["/rerank"].upstreamPath',
        "fragment",
        providers=[{"file": "good", "endpoints": {"/rerank": {"upstreamPath": "/a#b"}}}],
    ),
    "config override url": odd_config(
        "$.providers[0].baseUrl", "https://", providers=[{"file": "good", "baseUrl": "x://y"}]
    ),
    "config keys none": odd_config("$.clientKeys", "at least one key", clientKeys=[]),
    "config key no source": odd_config("$.clientKeys[0]", "expected 'env' or 'file'", clientKeys=[{"name": "a"}]),
    "config key two sources": odd_config(
        "$.clientKeys[0]", "not both", clientKeys=[{"name": "a", "env": "K", "file": "f"}]
    ),
    "config key not set": odd_config(
        "$.clientKeys[0].env", "variable K is not set", clientKeys=[{"name": "a", "env": "K"}]
    ),
    "config key short": odd_config(
        "$.clientKeys[0]", "at least 8", environ=SHORT, clientKeys=[{"name": "a", "env": "K"}]
    ),
    "config key blank inside": odd_config(
        "$.clientKeys[0].env", "holds a blank", environ={"K": f"{KEY} {KEY}"}, clientKeys=[{"name": "a", "env": "K"}]
    ),
    "config key file": odd_config("$.clientKeys[0].file", "cannot be read", clientKeys=[{"name": "a", "file": "nope"}]),
    "config key twice": odd_config(
        "$.clientKeys[1]",
        "the same as that of 'a'",
        environ=LONG,
        clientKeys=[{"name": "a", "env": "K"}, {"name": "b", "env": "L"}],
    ),
    "config key name twice": odd_config(
        "$.clientKeys[1].name",
        "is taken",
        environ={"K": KEY, "L": KEY[::-1]},
        clientKeys=[{"name": "a", "env": "K"}, {"name": "a", "env": "L"}],
    ),
    "config listen twice": odd_config("$.listen[1]", "listed twice", listen=["tcp:1", "tcp:1"]),
    "config listen blank": odd_config("$.listen[0]", "endpoint string", listen=[" "]),
    "config origin": odd_config(
        "$.server.corsOrigins[0]", "an origin such as", server={"corsOrigins": ["https://a/b"]}
    ),
    "config origin plain": odd_config(
        "$.server.corsOrigins[1]", "an origin", server={"corsOrigins": ["*", "a.example"]}
    ),
    "config host": odd_config("$.server.hosts[0]", "a host name without scheme", server={"hosts": ["http://a"]}),
    "config host port": odd_config("$.server.hosts[0]", "a host name without scheme", server={"hosts": ["a:80"]}),
    "environment burst": odd_config(
        "", "variable RATE_LIMIT_BURST: expected a whole", environ={"RATE_LIMIT_BURST": "abc"}
    ),
    "environment rate": odd_config(
        "", "RATE_LIMIT_REQUESTS_PER_MINUTE: expected", environ={"RATE_LIMIT_REQUESTS_PER_MINUTE": "-1"}
    ),
    "environment large": odd_config("", "from 0 to 1000000000", environ={"RATE_LIMIT_BURST": "9" * 50}),
    "environment key": odd_config("", "DEFAULT_API_KEY: holds a blank", environ={"DEFAULT_API_KEY": f"{KEY}\n{KEY}"}),
}
"""Config files, and environments, that are wrong."""
