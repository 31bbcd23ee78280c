/**
 * The guides in docs/switches: one for each vendor, written from what the generator prints for the
 * user document's BGPPeer.
 */
import { pageWide, wrapped } from '../../scripts/page-wide.ts'
import type { SwitchIntent } from '../../src/planner/vendors/intent.ts'
import { switchConfigText, type Vendor } from '../../src/planner/vendors/vendor.ts'

export function switchCommand(vendor: Vendor): string {
  return `terway-edge switch-config --vendor ${vendor.name} --file bgppeer.yaml --network network.yaml \\
  --speaker node-1=172.16.0.11 node-2=172.16.0.12`
}

/** `withBfd` is the same BGPPeer with `bfd: {enabled: true}` and `ttlSecurity: 1`. */
export function switchGuide(
  vendor: Vendor,
  { plain, withBfd }: { plain: SwitchIntent; withBfd: SwitchIntent },
): string {
  const own = new Set(switchConfigText(vendor, plain).split('\n'))
  const more = switchConfigText(vendor, withBfd)
    .split('\n')
    .filter(line => line !== '' && !own.has(line))
  const tried =
    vendor.ranWith !== undefined
      ? `This output is loaded into the real ${vendor.ranWith} by a test: the sessions come up, only blocks\nof nodes get in, a restart of the speakers keeps the routes, and the limit of prefixes holds.${vendor.checkedWith === undefined ? '' : `\nThe configuration check of ${vendor.checkedWith} takes it as well.`}`
      : 'This output was **not run on a device**: its words follow the sources below. Try it on one\nswitch first, and look there (below) before you rely on it.'
  return `# ${vendor.title}

${tried}

For the BGPPeer of the user document, saved as \`bgppeer.yaml\`, and the \`network.yaml\` of
[the planning guide](../planning.md); with a cluster at hand name the BGPPeer instead and leave
\`--file\`, \`--network\` and \`--speaker\` away.

\`\`\`sh
${switchCommand(vendor)}
\`\`\`

\`\`\`text
${switchConfigText(vendor, plain)}\`\`\`

The password is a placeholder; \`--password\` prints that of the Secret.
${
  vendor.read === undefined
    ? ''
    : `
Afterwards give it the running configuration: it says what is missing or differs.

\`\`\`sh
${switchCommand(vendor)} --verify running.txt
\`\`\`
`
}
With \`bfd: {enabled: true}\` and \`ttlSecurity: 1\` in the BGPPeer these lines are new or differ:

\`\`\`text
${more.join('\n')}
\`\`\`

Sources of the words:

${vendor.sources.map(source => wrapped(`- ${source}`, { indent: '  ' })).join('\n')}
${notFound(vendor)}`
}

function notFound({ unconfirmed = [] }: Vendor): string {
  if (unconfirmed.length === 0) return ''
  const words = unconfirmed.map(part => `\`${part}\``).join(', ')
  return `\n${wrapped(`Not found in any of them, and so to be looked at first where the switch refuses a line: ${words}.`)}\n`
}

export function switchIndex(vendors: readonly Vendor[]): string {
  const rows = vendors.map(
    ({ name, title, ranWith, checkedWith, read }) =>
      `| [${title}](${name}.md) | \`${name}\` | ${ranWith ?? 'not run on a device'}${checkedWith === undefined ? '' : `; check of ${checkedWith}`} | ${read === undefined ? 'no' : 'yes'} |`,
  )
  return pageWide(`# The switch's side

\`terway-edge switch-config\` prints it in the words of the switch's vendor, for a BGPPeer of a
running cluster or of a file. What every output says: a neighbour for each speaker, the AS numbers, the
password (a placeholder unless asked for), graceful restart as helper for the restart time of the
BGPPeer, a filter that takes only blocks of nodes, nothing towards the nodes, a limit of prefixes,
equal paths, BFD and GTSM where the BGPPeer has them; how to look there, and how to take it back.

| for | \`--vendor\` | output tested with | \`--verify\` |
|---|---|---|---|
${rows.join('\n')}

## When a speaker dies

A **planned** restart or upgrade of a speaker costs nothing on any switch that helps neighbours
which restart: the session closes without a NOTIFICATION, and the routes stay. With BFD the speaker agrees
with the switch on a longer detection time before it stops.

An **unplanned** death costs nothing where another speaker of the LAN has announced the same blocks,
which all of them do; that is why there should be three. Where the only speaker left dies, the words
for BFD decide: \`bfd graceful\` of BIRD, \`bfd check-control-plane-failure\` of FRR, IOS-XE, SONiC and
VyOS, \`bfd c-bit\` of EOS let the switch keep the routes for the restart time (RFC 5882 section
4.3.2.2), and Junos does so by itself, unless \`dont-help-shared-fate-bfd-down\` is set. In other words
the session ends at once, and the routes go; H3C's reference warns of that. The word of EOS was found
in no reference that could be read.
For BIRD both are tried with the real program (\`test/planner/vendors/daemons.test.ts\`). FRR 8.4 kept
the routes in some runs and dropped them in others: count on three speakers there.
`)
}
