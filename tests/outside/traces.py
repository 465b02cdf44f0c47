"""traces.py BINARY: tests the spans of the service, built with the feature otlp, with a collector on loopback.

The spans must be complete, and must not contain data of the player.
"""

import json
import os
import re
import sys
import tempfile
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

import service
from proxy import certificate
from server import Server
from service import PATIENCE, SECRETS, SUB, Service, ask, login_token

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def variables(endpoint):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=k"}


def attributes(of):
    return {attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value")) for attribute in of.attributes}


def check_spans():
    """Each request and each call to the Login API has a span, in the trace of the request's traceparent header."""
    bodies, spans, resources, statuses = [], [], [], [204]

    def collect(_, path, body, headers):
        assert (path, headers["x-key"]) == ("/v1/traces", "k"), path
        bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resources.append(attributes(resource.resource))
            spans.extend(span for scope in resource.scope_spans for span in scope.spans)
        return 200

    token = login_token()
    with Server(collect) as collector, Server(lambda *_: statuses[-1]) as login_api:
        more = {"login__check_revocation": "true", "login__api_url": login_api.url, "login__revocation_cache": "0s"}
        with Service(environment=variables(collector.url), **more) as running:
            cookie = f"token={token}"
            address, sampled = running.public, {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            status, headers, _ = ask(address, Cookie=cookie, Origin="https://shop.example.com", **sampled)
            assert status == 200
            request_id = headers["X-Request-Id"]
            assert ask(address, "/messaging/token", Cookie="token=rubbish")[0] == 401
            assert ask(address, "/secret-path?q=1", "BREW")[0] == 404
            assert ask(address, Cookie=cookie, traceparent=f"00-{TRACE}-{PARENT}-00")[0] == 200, "not sampled"
            statuses.append(500)
            assert ask(address, Cookie=cookie)[0] == 503
            running.stop()
    found = {span.name: span for span in spans}
    assert len(spans) == 6, [span.name for span in spans]
    first = next(span for span in spans if span.trace_id.hex() == TRACE and span.kind == Span.SPAN_KIND_SERVER)
    assert (first.name, first.parent_span_id.hex()) == ("GET /generate/token", PARENT)
    assert attributes(first) == {
        "http.request.method": "GET", "http.route": "/generate/token", "http.response.status_code": 200,
        "zendesk_token.request_id": request_id,
    }, attributes(first)
    assert first.status.code == Status.STATUS_CODE_UNSET and not first.events
    call = next(span for span in spans if span.parent_span_id == first.span_id)
    assert (call.name, call.kind) == ("ask for revocation", Span.SPAN_KIND_CLIENT)
    assert first.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano <= first.end_time_unix_nano
    refused = attributes(found["GET /messaging/token"])
    assert (refused["http.response.status_code"], refused["zendesk_token.refusal"]) == (401, "00-01")
    assert found["GET /messaging/token"].status.code == Status.STATUS_CODE_UNSET and "error.type" not in refused
    unknown = attributes(found["_OTHER none"])
    assert (unknown["http.request.method"], unknown["http.route"]) == ("_OTHER", "none")
    failed = [span for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert [attributes(span)["error.type"] for span in failed] == ["00-07"], failed
    assert all(resource["service.name"] == "zendesk-token" for resource in resources)
    for text in [token, SUB, "jane@example.com", "rubbish", "secret-path", "127.0.0.1", "shop.example.com", *SECRETS.values()]:
        assert not any(text.encode() in body for body in bodies), f"the collector got {text}"
    lines = [json.loads(line) for line in running.log]
    logged = {line["request_id"]: line["trace_id"] for line in lines if line["message"] == "request"}
    # The request for an unknown path is logged only at level debug.
    assert logged[request_id] == TRACE and len(logged) == 4 and all(re.fullmatch("[0-9a-f]{32}", trace) for trace in logged.values())
    print(f"{len(spans)} spans, with the call to the Login API, and no data of the player in {sum(map(len, bodies))} bytes")


def check_bad_collectors():
    """Bad collectors delay neither the responses nor the end of the service."""
    def hang(*_):
        time.sleep(3 * PATIENCE)
        return 200

    with Server(hang) as hanging, Server(lambda *_: (500, b"text of the collector " * 1000)) as failing:
        for endpoint in ["http://127.0.0.1:1", "not an address", hanging.url, failing.url]:
            with Service(environment=variables(endpoint)) as running:
                for _ in range(50):
                    assert ask(running.public, Cookie=f"token={login_token()}")[0] == 200
                # Fails after PATIENCE seconds.
                running.stop()
                # Not the warnings about settings that the test leaves out.
                warnings = [line for line in running.log if re.search('"level":"(WARN|ERROR)"', line) and '"message":"login.' not in line]
                assert warnings or endpoint == hanging.url, f"no warning for {endpoint}"
                assert len(warnings) <= 1 and all("spans" in line for line in warnings), warnings
                assert not any(text in line for line in running.log for text in ["x-key", "text of the collector"])
        with Service(environment=variables(hanging.url) | {"OTEL_BSP_MAX_QUEUE_SIZE": "4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2"}) as running:
            for _ in range(50):
                assert ask(running.public)[0] == 401
            running.stop()
            assert any("dropped a Span" in line for line in running.log), "the log reports dropped spans"
    print("an unreachable, wrong, slow or failing collector delays nothing, and the log says so")


def check_variables():
    """A collector with a private CA gets spans; with spans switched off, or without its CA, it gets none."""
    with tempfile.TemporaryDirectory() as folder:
        certificate(folder)
        for more, arrives in [
            ({"OTEL_EXPORTER_OTLP_CERTIFICATE": f"{folder}/cert.pem"}, True), ({}, False),
            ({"OTEL_EXPORTER_OTLP_CERTIFICATE": f"{folder}/cert.pem.key"}, False),
            ({"OTEL_EXPORTER_OTLP_CERTIFICATE": f"{folder}/cert.pem", "OTEL_SDK_DISABLED": "true"}, False),
            ({"OTEL_EXPORTER_OTLP_CERTIFICATE": f"{folder}/cert.pem", "OTEL_TRACES_EXPORTER": "none"}, False),
        ]:
            bodies = []
            with Server(lambda *asked: bodies.append(asked[2]) or 200, f"{folder}/cert.pem", f"{folder}/cert.pem.key") as collector:
                with Service(environment=variables(collector.url) | more) as running:
                    assert ask(running.public)[0] == 401
                    running.stop()
            assert bool(bodies) == arrives, more
    print("the variables for the CA and for switching spans off work")


if __name__ == "__main__":
    service.BINARY = os.path.abspath(sys.argv[1])
    check_spans()
    check_variables()
    check_bad_collectors()
