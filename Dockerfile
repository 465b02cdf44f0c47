# Builds one static binary, and an image that contains nothing else: no shell, no package manager, no certificates (the binary has them).
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

# The mounted folders are kept between builds, so that a change in src/ compiles only this package again. Docker needs BuildKit for them,
# which it has from version 23 on.

FROM rust:1.95-slim-bookworm AS source
WORKDIR /build
# Embeds the list of dependencies in the binary, for vulnerability scanners.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,id=zendesk-token-tools,target=/build/target \
    cargo install --locked --target-dir target/tools cargo-auditable@0.7.7
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY client client
# Cargo.toml names a test and two benchmarks, and cargo requires these files.
RUN mkdir -p tests benches && touch tests/suite.rs benches/exchange.rs benches/http.rs

# `touch`: cargo compares times, and those of an unpacked archive can be older than the last build of another version.

FROM source AS build-desk
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,id=zendesk-token-desk,target=/build/target \
    touch src/*.rs \
    && cargo auditable build --config .cargo/static.toml --profile dist --locked --no-default-features --features desk \
    && mv "target/$(rustc --print host-tuple)/dist/zendesk-token" /

FROM source AS build-service
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,id=zendesk-token-service,target=/build/target \
    touch src/*.rs \
    && cargo auditable build --config .cargo/static.toml --profile dist --locked --no-default-features \
    && mv "target/$(rustc --print host-tuple)/dist/zendesk-token" /

FROM scratch AS desk
COPY --from=build-desk /zendesk-token /zendesk-token
WORKDIR /desk
EXPOSE 8002
USER 65532:65532
ENTRYPOINT ["/zendesk-token"]
CMD ["desk", "--listen", "0.0.0.0:8002", "--published", "127.0.0.1:8002", "--no-browser"]

FROM scratch AS service
COPY --from=build-service /zendesk-token /zendesk-token
# Without the setting listen, the service listens on 0.0.0.0 and this port. Platforms with one port set their own.
ENV PORT=8001
EXPOSE 8001
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=4s --start-period=2s CMD ["/zendesk-token", "healthcheck"]
ENTRYPOINT ["/zendesk-token"]
CMD ["serve"]
