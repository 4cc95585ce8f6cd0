# An image of voxwire-server. `make image` lays what it needs into out/image and builds it there, without
# a network: wheels for the Python of BASE, and pip to install them with. docs/image.md has the rest.
ARG BASE=docker.io/library/python:3.11-slim

FROM ${BASE} AS build
COPY pip /build/pip
COPY wheels /build/wheels
RUN python3 -m venv --without-pip /opt/voxwire && \
    PYTHONPATH=/build /opt/voxwire/bin/python -m pip install \
        --no-index --no-deps --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        /build/wheels/*.whl

FROM ${BASE}
COPY --from=build /opt/voxwire /opt/voxwire
COPY THIRD_PARTY_NOTICES.md /usr/share/doc/voxwire/
ENV PATH=/opt/voxwire/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    VOXWIRE_HOST=0.0.0.0 \
    VOXWIRE_LOG_LEVEL=INFO
LABEL org.opencontainers.image.title="voxwire-server"
# No name of a user is needed, and so no shell to make one; Kubernetes' runAsNonRoot wants a number.
USER 10001:10001
EXPOSE 7860/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/voxwire/bin/voxwire-server", "health"]
ENTRYPOINT ["/opt/voxwire/bin/voxwire-server"]
CMD ["run"]
