# syntax=docker/dockerfile:1
#
# One image for every process of Ronda; the command decides which one it is:
#   docker build -t ronda .                              web console, API and workers
#   docker build -t ronda-web --build-arg EXTRAS=web .   without scikit-learn: `serve` and `migrate` only
#
# The base is named by tag so that a rebuild takes up Debian's fixes. To build the same bytes again, pin the digest:
#   --build-arg BASE=python:3.11-slim-trixie@sha256:<digest of the index, as `docker buildx imagetools inspect` prints it>
# 3.11 is the Python that the test suite runs on; requirements.lock also resolves for later ones.
# checkov:skip=CKV_DOCKER_7: the tag is in BASE, where the check does not look
ARG BASE=python:3.11-slim-trixie

FROM ${BASE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY pyproject.toml requirements.lock ./
# uv itself comes from the lock, by its hashes. (The cache is a mount: it never becomes a layer.)
# hadolint ignore=DL3042
RUN --mount=type=cache,target=/root/.cache \
    sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.lock && \
    pip install --no-input --require-hashes -r uv.lock && \
    uv venv --python /usr/local/bin/python3 /opt/ronda
# The names of the libraries come from pyproject.toml's extras, versions and hashes from the lock: with --require-hashes
# a library that the lock does not hold, or whose file has another hash, ends the build.
ARG EXTRAS=web,worker
RUN --mount=type=cache,target=/root/.cache \
    set -- && \
    for extra in $(printf '%s' "${EXTRAS}" | tr ',' ' '); do set -- "$@" --extra "${extra}"; done && \
    uv pip install --python /opt/ronda/bin/python --require-hashes -r pyproject.toml -c requirements.lock "$@"
COPY core/ /app/core/
COPY models/ /app/models/
COPY workers/ /app/workers/
COPY console/ /app/console/
COPY backend/ /app/backend/
RUN /opt/ronda/bin/python -m compileall -q /app

FROM ${BASE} AS image
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Ronda" \
      org.opencontainers.image.description="Real-time fraud detection that an analyst can check" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The ids are fixed: a shared file system outside the container (an EFS access point, say) grants access to them.
RUN groupadd --gid 10001 ronda && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin ronda && \
    install -d -o ronda -g ronda -m 0750 /var/lib/ronda /var/lib/ronda/artifacts /var/lib/ronda/anchor
# Some managed databases sign with a certificate authority of their own. `--secret id=database_ca,src=bundle.pem` bakes
# its public certificates in, for PGSSLROOTCERT=/etc/ronda/database-ca.pem and `?ssl=verify-full` in RONDA_DATABASE_URL.
RUN --mount=type=secret,id=database_ca \
    if [ -f /run/secrets/database_ca ]; then install -D -m 0444 /run/secrets/database_ca /etc/ronda/database-ca.pem; fi
COPY --from=build /opt/ronda /opt/ronda
COPY --from=build /app /app
COPY LICENSE /app/LICENSE
# Nothing is written outside /var/lib/ronda/artifacts, /var/lib/ronda/anchor (mount volumes there) and /tmp, so the root file system may be read-only.
# One OpenMP and BLAS thread: scorers scale by processes, and a second thread costs a small batch more than it gives.
ENV PATH=/opt/ronda/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONSAFEPATH=1 \
    PYTHONPATH=/app \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    NUMBA_CACHE_DIR=/tmp/numba \
    RONDA_HOST=0.0.0.0 \
    RONDA_PORT=8080 \
    RONDA_DATA_DIR=/var/lib/ronda \
    RONDA_LOG_JSON=true
WORKDIR /app
# Fargate mounts an empty folder over /tmp; only where the image declares the volume does it keep /tmp's mode.
VOLUME ["/tmp"]
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# For `serve`, the default. A worker has no port: switch the check off there (docker-compose.yml does).
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['RONDA_PORT'] + '/health/live', timeout=4)"]
# Exec form: the process gets SIGTERM itself. It starts no children; run with `--init` where something else should be PID 1.
ENTRYPOINT ["python", "-m", "backend"]
CMD ["serve"]
