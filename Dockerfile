# syntax=docker/dockerfile:1
# `hookyard`, `hookyard-api` and `hookyard-worker` in one image: docker build --tag hookyard .
# How to run it: docs/operations/packaging.md

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# What cargo has fetched and built stays with the builder, for the next time; only the programs leave the cache.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --release --package hookyard --package api --package worker \
    && mkdir /programs \
    && cp target/release/hookyard target/release/hookyard-api target/release/hookyard-worker /programs

FROM debian:bookworm-slim
# What is trusted by TLS is read from /etc/ssl/certs: the roots of the day the image is made, so without a version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/hookyard
COPY LICENSE /usr/share/doc/hookyard/
COPY packaging/healthcheck /usr/local/bin/
COPY --from=build /programs/ /usr/local/bin/

# A number, so that Kubernetes can see that it is not root. It needs no name.
USER 65532:65532
# `hookyard` on SQLite keeps hookyard.db and, unless HOOKYARD_MASTER_KEYS is given, hookyard.keys in the current directory.
WORKDIR /var/lib/hookyard
VOLUME /var/lib/hookyard
# Port 8081 is the operators' and never to be published: /livez, /readyz and /metrics.
ENV HOOKYARD_LISTEN=0.0.0.0:8080 HOOKYARD_OPS_LISTEN=0.0.0.0:8081
EXPOSE 8080 8081
# Whatever restarts what is unhealthy must not do so because the database is away: so whether it lives, not whether it is ready.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["healthcheck", "/livez"]
# It drains: see docs/operations/packaging.md for how long to wait before SIGKILL.
STOPSIGNAL SIGTERM
# The other programs and commands: docker run … hookyard hookyard-api, … hookyard hookyard migrate
CMD ["hookyard"]

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="Hookyard" \
      org.opencontainers.image.description="A multi-tenant webhook relay" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
