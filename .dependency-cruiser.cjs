module.exports = {
  forbidden: [
    {
      name: 'core-is-pure',
      comment:
        'Core takes values and returns values; outside systems are reached through its interfaces.',
      severity: 'error',
      from: { path: '^services/core' },
      to: { path: '^services/(?!core)|^node:(fs|net|http)|ioredis|kafka|prom-client|tensorflow' },
    },
    {
      name: 'platform-knows-no-service',
      severity: 'error',
      from: { path: '^services/platform' },
      to: { path: '^services/(?!core|platform)' },
    },
    {
      name: 'services-do-not-know-each-other',
      comment: 'The cli may call the public entries of services; no other service may.',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: '^services/(core|platform|cli)/' },
      to: { path: '^services/(?!core/|platform/)([^/]+)/', pathNot: '^services/$1/' },
    },
    {
      name: 'production-needs-no-tools',
      comment: 'Only the command line, which offers the tools as commands, may import them.',
      severity: 'error',
      from: { path: '^services', pathNot: '^services/cli/' },
      to: { path: '^tools' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'code-does-not-import-tests',
      severity: 'error',
      from: { path: '^(services|tools)' },
      to: { path: '^test' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
  },
}
