# lima with its extras.
#   docker build -t lima .
# On Linux the usual torch brings CUDA with it. TORCH_INDEX takes another, such as torch's own index of wheels for the CPU:
#   docker build -t lima --build-arg TORCH_INDEX=ADDRESS .
#   docker run --rm lima demo --dry-run
FROM python:3.13-slim
ARG TORCH_INDEX=
ARG EXTRAS=train,lora,web,postgresql,curate,figures
WORKDIR /opt/lima
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN sh -c 'pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch' \
 && pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]"
RUN useradd --create-home lima
USER lima
WORKDIR /home/lima
ENTRYPOINT ["lima"]
CMD ["--help"]
