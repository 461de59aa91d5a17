# The server in a small image. Nothing secret is ever in it: keys come with `docker run --env-file`.
#
# Both base images are build arguments, so that it builds from a mirror, or from images made by hand (scripts/image-test.sh).
ARG BUILD_IMAGE=golang:1.26-alpine
ARG RUN_IMAGE=alpine:3.22

FROM ${BUILD_IMAGE} AS build
ARG GOPROXY=https://proxy.golang.org,direct
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod GOMODCACHE=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOMODCACHE=/go/pkg/mod CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" \
        -o /out/exai-mcp ./cmd/exai-mcp && \
    mkdir -m 1777 /out/data

FROM ${RUN_IMAGE}
# git is for precommit, which reads repositories; the certificates are for the vendors.
ARG INSTALL="apk add --no-cache git ca-certificates"
RUN ${INSTALL}
COPY --from=build /out/exai-mcp /usr/local/bin/exai-mcp
COPY docs/man /usr/local/share/man/man1
# Anybody may write to the state folder, so that `docker run --user` works; what is written is readable by its owner alone.
COPY --from=build --chown=65532:65532 /out/data /data
ENV EXAI_STATE_DIR=/data HOME=/tmp
USER 65532:65532
WORKDIR /data
VOLUME /data
LABEL org.opencontainers.image.title="exai-mcp" \
      org.opencontainers.image.description="Second opinions from GLM and Kimi models, as an MCP server" \
      org.opencontainers.image.source="https://github.com/exai-mcp/exai-mcp" \
      org.opencontainers.image.licenses="MIT" \
      io.modelcontextprotocol.server.name="io.github.exai-mcp/exai-mcp"
ENTRYPOINT ["exai-mcp"]
