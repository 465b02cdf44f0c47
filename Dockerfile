# Builds one static binary, and an image that contains nothing else: no shell, no package manager.
#
# The service, which can't delete a user because its binary lacks the support desk's commands:
#
#   docker build --tag zendesk-token .
#   docker run --publish 127.0.0.1:8001:8001 --env-file zendesk-token.env zendesk-token
#
# The support desk, for machines without Rust. Its page is published on the host's loopback alone; files are in the current folder:
#
#   docker build --target desk --tag zendesk-token-desk .
#   docker run --rm --publish 127.0.0.1:8002:8002 --user "$(id -u):$(id -g)" --volume "$PWD:/desk" zendesk-token-desk

FROM rust:1.95-slim-bookworm AS source
WORKDIR /build
# Embeds the list of dependencies in the binary, for vulnerability scanners.
RUN cargo install --locked cargo-auditable@0.7.7
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY client client
# Cargo.toml names a test and two benchmarks, and cargo requires these files.
RUN mkdir -p tests benches && touch tests/suite.rs benches/exchange.rs benches/http.rs

FROM source AS build-desk
RUN TARGET="$(uname -m)-unknown-linux-gnu" \
    && cargo auditable build --config .cargo/static.toml --release --locked --bin zendesk-token --target "$TARGET" \
        --no-default-features --features desk \
    && cp "target/$TARGET/release/zendesk-token" /zendesk-token

FROM source AS build-service
RUN TARGET="$(uname -m)-unknown-linux-gnu" \
    && cargo auditable build --config .cargo/static.toml --release --locked --bin zendesk-token --target "$TARGET" \
        --no-default-features \
    && cp "target/$TARGET/release/zendesk-token" /zendesk-token

FROM gcr.io/distroless/static-debian12:nonroot AS desk
COPY --from=build-desk /zendesk-token /zendesk-token
WORKDIR /desk
EXPOSE 8002
USER 65532:65532
ENTRYPOINT ["/zendesk-token"]
CMD ["desk", "--listen", "0.0.0.0:8002", "--published", "127.0.0.1:8002", "--no-browser"]

FROM gcr.io/distroless/static-debian12:nonroot AS service
COPY --from=build-service /zendesk-token /zendesk-token
# Without the setting listen, the service listens on 0.0.0.0 and this port. Platforms with one port set their own.
ENV PORT=8001
EXPOSE 8001
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=4s --start-period=2s CMD ["/zendesk-token", "healthcheck"]
ENTRYPOINT ["/zendesk-token"]
CMD ["serve"]
