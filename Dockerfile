# Sluice as an image: the command line `sluice`, which is the scorer unless another command is given.
#
#   docker build -t sluice:0.1.0 .                      scores on the CPU
#   docker build -t sluice:0.1.0-gpu --target gpu .     scores with TensorFlow on an NVIDIA GPU
#
# Base images are pinned by version. Where builds must be reproducible to the byte, add @sha256:... to each FROM.

# ---- What the services need while they run ----
FROM node:24.22.3-bookworm-slim AS modules
WORKDIR /opt/sluice
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
COPY infra/docker/prune-modules.mjs infra/docker/

FROM modules AS modules-cpu
RUN node infra/docker/prune-modules.mjs node_modules

# ---- TypeScript to JavaScript; development dependencies end here ----
FROM node:24.22.3-bookworm-slim AS build
WORKDIR /opt/sluice
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY infra/bootstrap.mjs infra/copy-assets.mjs infra/
COPY services services
COPY tools tools
RUN npm run build

# ---- TensorFlow's addon for Node, compiled against the TensorFlow wheel (docs/deploy.md says why) ----
FROM node:24.22.3-bookworm AS natives
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends python3-pip unzip \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/sluice
COPY --from=modules /opt/sluice ./
RUN npm install --no-save --omit=dev --ignore-scripts @tensorflow/tfjs-node-gpu@4.22.0
# Three of the wheel's libraries are needed, and its headers while the addon is compiled.
RUN pip download --quiet --no-deps --only-binary=:all: --python-version 3.11 --dest /tmp/wheel \
    tensorflow==2.21.0 \
  && unzip -q /tmp/wheel/tensorflow-*.whl 'tensorflow/libtensorflow_*' 'tensorflow/include/*' -d /tmp/wheel
WORKDIR /opt/sluice/node_modules/@tensorflow/tfjs-node-gpu
# Never the package's own install script: it wipes deps/ and downloads an old library.
RUN mkdir -p deps/lib \
  && cp /tmp/wheel/tensorflow/libtensorflow_cc.so.2 /tmp/wheel/tensorflow/libtensorflow_framework.so.2 deps/lib/ \
  && ln -s libtensorflow_cc.so.2 deps/lib/libtensorflow.so \
  && ln -s libtensorflow_framework.so.2 deps/lib/libtensorflow_framework.so \
  && ln -s /tmp/wheel/tensorflow/include deps/include \
  && npm_config_nodedir=/usr/local npx --no-install node-pre-gyp install --build-from-source \
  && rm -rf deps/include build-tmp-napi-v8 build
WORKDIR /opt/sluice
RUN node infra/docker/prune-modules.mjs node_modules

# ---- Image for NVIDIA GPUs ----
FROM nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04 AS gpu
# TensorFlow compiles some kernels (sigmoid is one) at their first use: for that it needs ptxas and libdevice.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends cuda-nvcc-12-9 libstdc++6 \
  && rm -rf /var/lib/apt/lists/* \
  && install --directory --owner=1000 --group=1000 /var/cache/sluice
COPY --from=build /usr/local/bin/node /usr/local/bin/node
WORKDIR /opt/sluice
COPY --from=natives /opt/sluice/node_modules node_modules
COPY --from=build /opt/sluice/dist dist
COPY package.json ./
COPY schemas schemas
COPY models models
COPY infra/docker/healthcheck.mjs infra/docker/
LABEL org.opencontainers.image.title="sluice (GPU)" \
  org.opencontainers.image.description="Real-time fraud detection on a stream of card transactions" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="Apache-2.0"
# A GPU image that scored with wasm would be a silent fallback, so the backend is asked for by name.
ENV NODE_ENV=production \
  SLUICE_METRICS_HOST=0.0.0.0 \
  SLUICE_METRICS_PORT=9464 \
  SLUICE_BACKEND=tensorflow \
  SLUICE_BACKEND_EXPECTED=tensorflow-gpu \
  LD_LIBRARY_PATH=/opt/sluice/node_modules/@tensorflow/tfjs-node-gpu/deps/lib:/usr/local/cuda/lib64:/usr/local/nvidia/lib64 \
  XLA_FLAGS=--xla_gpu_cuda_data_dir=/usr/local/cuda \
  TF_FORCE_GPU_ALLOW_GROWTH=true \
  TF_JIT_CACHE_DIR=/var/cache/sluice \
  NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
  CMD ["node", "infra/docker/healthcheck.mjs"]
ENTRYPOINT ["node", "dist/services/cli/main.js"]
CMD ["scorer"]

# ---- Image for the CPU; the last stage is what a plain build gives ----
FROM node:24.22.3-bookworm-slim AS cpu
WORKDIR /opt/sluice
COPY --from=modules-cpu /opt/sluice/node_modules node_modules
COPY --from=build /opt/sluice/dist dist
COPY package.json ./
COPY schemas schemas
COPY models models
COPY infra/docker/healthcheck.mjs infra/docker/
# A new volume that is mounted here takes the rights of this folder, so that the user below may write a lake into it.
RUN mkdir -m 1777 lake
LABEL org.opencontainers.image.title="sluice" \
  org.opencontainers.image.description="Real-time fraud detection on a stream of card transactions" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="Apache-2.0"
# Inside a container the loopback address can be reached by nobody, so the metrics listen on all.
ENV NODE_ENV=production \
  SLUICE_METRICS_HOST=0.0.0.0 \
  SLUICE_METRICS_PORT=9464
USER 1000:1000
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "infra/docker/healthcheck.mjs"]
ENTRYPOINT ["node", "dist/services/cli/main.js"]
CMD ["scorer"]
