# wsac serve on a CPU, without root and without torch. docs/service.md tells how to run it.
#   docker build -t wsac .
#   docker build -t wsac --build-arg EXTRAS=serve,archive,train .   # also searches archives, and can be taught
FROM python:3.11-slim AS build
WORKDIR /source
RUN python -m venv /opt/wsac
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
ARG EXTRAS=serve
# the index has torch without CUDA, a tenth of its size; it is asked for with the extra "train" alone
RUN /opt/wsac/bin/pip install --no-cache-dir -c constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu ".[$EXTRAS]"

FROM python:3.11-slim
RUN useradd --system --no-create-home --uid 10001 wsac
COPY --from=build /opt/wsac /opt/wsac
# caches and uploads lie in /tmp, the one place that is written to
ENV PATH=/opt/wsac/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/readyz'); exit(c.getresponse().status != 200)"]
CMD ["wsac", "serve", "--host", "0.0.0.0", "--port", "8000"]
