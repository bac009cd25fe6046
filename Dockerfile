# syntax=docker/dockerfile:1
#
# Two images from one file:
#   docker build --target service -t gradgate-service .     the API: no torch, no onnx, no numpy
#   docker build --target worker -t gradgate-worker .       what examines networks, on the CPU
#   docker build --target worker -t gradgate-worker-gpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#
# What changes least comes first: packages by pyproject.toml and constraints.txt, then torch, then the source.

ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/gradgate/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gradgate \
    && install --directory --owner gradgate --group gradgate --mode 0700 /data \
    && python -m venv /opt/gradgate
WORKDIR /app
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > packages.txt \
    && pip install --no-cache-dir --constraint constraints.txt --requirement packages.txt
ENV GRADGATE_REDIS_URL=redis://valkey:6379/0 \
    GRADGATE_STORAGE=file:/data/storage
LABEL org.opencontainers.image.title="Gradgate" \
      org.opencontainers.image.description="Examines a neural network before GPU-hours are spent on it" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM base AS service
COPY README.md LICENSE ./
COPY service service
RUN pip install --no-cache-dir --no-deps .
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["gradgate", "serve", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS examination
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url "${TORCH_INDEX}" "$(grep '^torch==' constraints.txt)"
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['worker'], sep='\n')" > packages.txt \
    && pip install --no-cache-dir --constraint constraints.txt --requirement packages.txt

FROM examination AS worker
COPY README.md LICENSE ./
COPY service service
COPY worker worker
RUN pip install --no-cache-dir --no-deps .
USER 10001:10001
VOLUME /data
CMD ["gradgate", "worker"]
