# Two images, from the same constraints.txt:
#
#   docker build --target core --tag snn-deploy:core .     Python 3.13: reads Keras and ONNX… files,
#                                                           builds, runs on `reference`, reports
#   docker build --target full --tag snn-deploy:full .     Python 3.10: all targets, training, sweeps
#
#   docker run --rm --volume "$PWD:/work" snn-deploy:core build --target reference --out build/net
#
# `full` holds NengoDL, which is free for academic and personal use only, nengo (GPLv2) and SANA-FE
# (GPL-3): `snn-deploy doctor` says so. Whoever passes that image on passes those on.

FROM python:3.13-slim AS core-built
WORKDIR /source
COPY . .
RUN python -m venv /opt/snn-deploy \
 && /opt/snn-deploy/bin/pip install --no-cache-dir --constraint constraints.txt '.[onnx]'

FROM python:3.10-slim AS full-built
WORKDIR /source
COPY . .
RUN python -m venv /opt/snn-deploy \
 && /opt/snn-deploy/bin/pip install --no-cache-dir --constraint constraints.txt '.[all]'

FROM python:3.13-slim AS core
COPY --from=core-built /opt/snn-deploy /opt/snn-deploy
RUN useradd --create-home user && mkdir /work && chown user /work
USER user
WORKDIR /work
ENV PATH=/opt/snn-deploy/bin:$PATH
RUN snn-deploy doctor
ENTRYPOINT ["snn-deploy"]
CMD ["--help"]

FROM python:3.10-slim AS full
COPY --from=full-built /opt/snn-deploy /opt/snn-deploy
RUN useradd --create-home user && mkdir /work && chown user /work
USER user
WORKDIR /work
ENV PATH=/opt/snn-deploy/bin:$PATH
RUN snn-deploy doctor
ENTRYPOINT ["snn-deploy"]
CMD ["--help"]
