# The image: what the official redis image is to its users, with this server inside. `docker build .` and `make image`
# both read this file; the latter brings its own Debian root as BASE, so that it needs no registry.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
WORKDIR /src
COPY tools/deps.sh tools/
RUN tools/deps.sh build
COPY . .
# A container's port is published on purpose, so protected mode is off unless asked for, as in the official image.
RUN make -j"$(nproc)" BUILD=/build PROTECTED_MODE=no all \
    && make BUILD=/build PROTECTED_MODE=no DESTDIR=/image install

FROM ${BASE}
# The user comes first: packages of Debian's Redis would otherwise create it, under another number.
RUN groupadd --system --gid 999 redis \
    && useradd --system --uid 999 --gid redis --home-dir /data --no-create-home redis \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gosu \
        libbsd0 libhiredis0.14 libjansson4 libjemalloc2 liblz4-1 liblzf1 libmd0 libssl3 liburing2 \
        redis-tools \
        tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o redis -g redis /data
# Scripts call the tools by the official image's paths.
RUN ln -s /usr/bin/redis-benchmark /usr/bin/redis-cli /usr/local/bin/
COPY --from=build /image /
COPY docker-entrypoint.sh /usr/local/bin/
VOLUME /data
WORKDIR /data
EXPOSE 6379
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
