# Builds one static binary and puts it into an image that holds nothing else: no shell, no package manager.
#
#   docker build --tag zendesk-token .
#   docker run --publish 127.0.0.1:8001:8001 --env-file zendesk-token.env zendesk-token

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# Writes into the binary what it was built from, for scanners of vulnerabilities to read.
RUN cargo install --locked cargo-auditable@0.7.7
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
# The manifest names a test and two benchmarks; cargo wants the files to be there.
RUN mkdir -p tests benches && touch tests/suite.rs benches/exchange.rs benches/http.rs
RUN TARGET="$(uname -m)-unknown-linux-gnu" \
    && cargo auditable build --config .cargo/static.toml --release --locked --bin zendesk-token --target "$TARGET" \
    && cp "target/$TARGET/release/zendesk-token" /zendesk-token

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /zendesk-token /zendesk-token
# Where nothing sets listen, the service listens on 0.0.0.0 and this port. Platforms with one port set their own.
ENV PORT=8001
EXPOSE 8001
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=4s --start-period=2s CMD ["/zendesk-token", "healthcheck"]
ENTRYPOINT ["/zendesk-token"]
CMD ["serve"]
