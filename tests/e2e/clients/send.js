// Sends logs, spans and metrics with OpenTelemetry's own exporters in every way they know, and
// prints what was sent, as the SDK's own OTLP/JSON, one line a request:
//     {"variant": "...", "signal": "logs", "code": 0, "sent": {...}}
// Usage: node send.js CONFIG, CONFIG a JSON text:
//     {"ways": [{"variant", "kind": "grpc"|"http-json"|"http-protobuf", "url", "gzip", "ca"}]}
'use strict';
const fs = require('fs');
const { trace, context, SpanKind, SpanStatusCode, TraceFlags, createTraceState } = require('@opentelemetry/api');
const { SeverityNumber } = require('@opentelemetry/api-logs');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { LoggerProvider, InMemoryLogRecordExporter, SimpleLogRecordProcessor } = require('@opentelemetry/sdk-logs');
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const metrics = require('@opentelemetry/sdk-metrics');
const transformer = require('@opentelemetry/otlp-transformer');

const EXPORTERS = {
  grpc: {
    logs: require('@opentelemetry/exporter-logs-otlp-grpc').OTLPLogExporter,
    traces: require('@opentelemetry/exporter-trace-otlp-grpc').OTLPTraceExporter,
    metrics: require('@opentelemetry/exporter-metrics-otlp-grpc').OTLPMetricExporter,
  },
  'http-json': {
    logs: require('@opentelemetry/exporter-logs-otlp-http').OTLPLogExporter,
    traces: require('@opentelemetry/exporter-trace-otlp-http').OTLPTraceExporter,
    metrics: require('@opentelemetry/exporter-metrics-otlp-http').OTLPMetricExporter,
  },
  'http-protobuf': {
    logs: require('@opentelemetry/exporter-logs-otlp-proto').OTLPLogExporter,
    traces: require('@opentelemetry/exporter-trace-otlp-proto').OTLPTraceExporter,
    metrics: require('@opentelemetry/exporter-metrics-otlp-proto').OTLPMetricExporter,
  },
};
const SERIALIZERS = {
  logs: transformer.JsonLogsSerializer,
  traces: transformer.JsonTraceSerializer,
  metrics: transformer.JsonMetricsSerializer,
};

function exporterOptions(way, signal) {
  const o = { compression: way.gzip ? 'gzip' : 'none', timeoutMillis: 20000 };
  if (way.kind === 'grpc') {
    o.url = way.url;
    const grpc = require('@grpc/grpc-js');
    o.credentials = way.ca ? grpc.credentials.createSsl(fs.readFileSync(way.ca)) : grpc.credentials.createInsecure();
  } else {
    o.url = way.url + '/v1/' + signal;
    if (way.ca) o.httpAgentOptions = { ca: fs.readFileSync(way.ca) };
  }
  return o;
}

function resourceOf(way) {
  return resourceFromAttributes({
    'service.name': 'js-client', variant: way.variant, 'process.pid': 4711, 'os.tags': ['a', 'b'], ratio: 0.25, on: true,
  });
}

const ATTRIBUTES = {
  text: 'käse "quoted" \u0001 \\ 日本', empty: '', int: 42, negative: -7, large: Number.MAX_SAFE_INTEGER, double: 1.5e-9,
  yes: true, no: false, texts: ['x', '', 'y'], ints: [1, 2, 3], doubles: [0.5, 1.25], flags: [true, false],
};

function makeLogs(way) {
  const memory = new InMemoryLogRecordExporter();
  const provider = new LoggerProvider({ resource: resourceOf(way), processors: [new SimpleLogRecordProcessor({ exporter: memory })] });
  const logger = provider.getLogger('shop.checkout', '1.2.3', { schemaUrl: 'urn:schema:1' });
  const plain = provider.getLogger('other');
  const inSpan = trace.setSpanContext(context.active(), {
    traceId: '5b8efff798038103d269b633813fc60c', spanId: 'eee19b7ec3c1b174', traceFlags: TraceFlags.SAMPLED,
  });
  const bodies = ['plain text with id 12345', 'two\nlines', '', 17, 2.5, true, { code: 5, deep: { list: [1, 'a', null] } },
    ['a', 1, { b: 2 }], new Uint8Array([0, 1, 255]), undefined];
  const severities = [SeverityNumber.TRACE, SeverityNumber.DEBUG, SeverityNumber.INFO, SeverityNumber.WARN,
    SeverityNumber.ERROR, SeverityNumber.FATAL4, undefined];
  bodies.forEach((body, i) => plain.emit({
    body, severityNumber: severities[i % severities.length], severityText: i % 2 ? 'level' + i : undefined,
    timestamp: Date.UTC(2026, 10, 20, 10, 0, i),
  }));
  for (let i = 0; i < 20; i++) {
    logger.emit({
      body: `order ${1000 + i} took ${i * 1.5} ms`, attributes: i % 3 ? ATTRIBUTES : { i }, severityNumber: SeverityNumber.INFO,
      severityText: 'INFO', timestamp: [1795168800 + i, 123456789], observedTimestamp: [1795168801 + i, 5],
      eventName: i % 5 ? undefined : 'order.done', context: i % 2 ? inSpan : undefined,
    });
  }
  return memory.getFinishedLogRecords();
}

function makeSpans(way) {
  const memory = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ resource: resourceOf(way), spanProcessors: [new SimpleSpanProcessor(memory)] });
  const tracer = provider.getTracer('shop.tracer', '0.9', { schemaUrl: 'urn:schema:2' });
  const remote = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: TraceFlags.SAMPLED,
    traceState: createTraceState('vendor=1,other=abc'), isRemote: true };
  const kinds = [SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER];
  let parent = trace.setSpanContext(context.active(), remote);
  kinds.forEach((kind, i) => {
    const span = tracer.startSpan('operation ' + i, {
      kind, attributes: ATTRIBUTES, startTime: [1795168800 + i, 1000], links: i ? [{ context: remote, attributes: { link: i } }] : [],
    }, parent);
    span.addEvent('cache miss', { key: 'k' + i }, [1795168800 + i, 2000]);
    if (i === 2) span.recordException(new Error('boom'), [1795168800 + i, 2500]);
    if (i === 3) span.setStatus({ code: SpanStatusCode.ERROR, message: 'deadline exceeded' });
    if (i === 4) span.setStatus({ code: SpanStatusCode.OK });
    parent = trace.setSpan(parent, span);
    span.end([1795168800 + i, 500000000]);
  });
  return memory.getFinishedSpans();
}

async function makeMetrics(way) {
  const { AggregationType, AggregationTemporality, InMemoryMetricExporter, PeriodicExportingMetricReader, MeterProvider } = metrics;
  const memory = new InMemoryMetricExporter(way.gzip ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: memory, exportIntervalMillis: 3600000 });
  const provider = new MeterProvider({
    resource: resourceOf(way), readers: [reader],
    views: [{ instrumentName: 'latency.exp', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }],
  });
  const meter = provider.getMeter('shop.meter', '3', { schemaUrl: 'urn:schema:3' });
  const calls = meter.createCounter('calls', { unit: '1', description: 'calls made' });
  const open = meter.createUpDownCounter('open');
  const latency = meter.createHistogram('latency', { unit: 'ms' }), fine = meter.createHistogram('latency.exp', { unit: 's' });
  meter.createObservableGauge('temperature').addCallback(r => { r.observe(-1.5, { room: 'a' }); r.observe(21.25, { room: 'b' }); });
  meter.createObservableCounter('ticks', { valueType: 0 }).addCallback(r => r.observe(12345678901));
  for (let i = 1; i <= 50; i++) {
    calls.add(i, { route: '/r' + (i % 3), ok: i % 2 === 0 });
    open.add(i % 2 ? 3 : -2);
    latency.record(i * 13.7, { route: '/r' + (i % 3) });
    fine.record(i * i * 0.001);
    if (i === 7) fine.record(0);
  }
  await reader.forceFlush();
  const result = memory.getMetrics()[0];
  await provider.shutdown();
  return result;
}

function send(way, signal, items) {
  return new Promise(resolve => {
    const exporter = new EXPORTERS[way.kind][signal](exporterOptions(way, signal));
    exporter.export(items, result => {
      const sent = JSON.parse(Buffer.from(SERIALIZERS[signal].serializeRequest(items)).toString());
      const line = { variant: way.variant, signal, code: result.code, error: result.error && String(result.error), sent };
      process.stdout.write(JSON.stringify(line) + '\n');
      exporter.shutdown().then(resolve, resolve);
    });
  });
}

async function main() {
  const config = JSON.parse(process.argv[2]);
  for (const way of config.ways) {
    await send(way, 'logs', makeLogs(way));
    await send(way, 'traces', makeSpans(way));
    await send(way, 'metrics', await makeMetrics(way));
  }
}
main().catch(e => { console.error(e); process.exit(1); });
