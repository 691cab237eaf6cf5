# syntax=docker/dockerfile:1
FROM debian:bookworm-slim AS build
COPY tools/deps.sh /src/tools/deps.sh
WORKDIR /src
RUN tools/deps.sh build
COPY . .
RUN make -j"$(nproc)" BUILD=/build all && make BUILD=/build DESTDIR=/image install

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libjemalloc2 liblz4-1 liblzf1 libmd0 liburing2 redis-tools \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 999 redis \
    && useradd --system --uid 999 --gid redis --home-dir /data redis \
    && install -d -o redis -g redis /data
COPY --from=build /image /
USER redis
WORKDIR /data
VOLUME /data
EXPOSE 6379
# protected-mode guards servers that listen on the outside by oversight; a container's port is published on purpose.
CMD ["redis-server", "--protected-mode", "no"]
