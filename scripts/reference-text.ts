/**
 * The pages of docs/reference, made of what programs read: the CustomResourceDefinitions and the
 * schema of the configuration. `scripts/reference.ts` writes them, a test compares.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { configSchema } from '../src/config/schema.ts'
import { BGP_PEER_RULES } from '../src/kube/bgp-peer-schema.ts'
import { pageWide, wrapped } from './page-wide.ts'

/** The part of JSON Schema and OpenAPI that these have in common. */
interface Schema {
  readonly description?: string
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly maxItems?: number
  readonly format?: string
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
}

interface Row {
  readonly path: string
  readonly schema: Schema
  readonly required: boolean
}

const SCHEMA: z.ZodType<Schema> = z.custom<Schema>(value => typeof value === 'object' && value !== null)
const CRD = z.object({
  spec: z.object({
    names: z.object({ kind: z.string(), plural: z.string() }),
    versions: z.array(
      z.object({
        name: z.string(),
        additionalPrinterColumns: z
          .array(z.object({ name: z.string(), description: z.string().optional(), priority: z.number().optional() }))
          .default([]),
        schema: z.object({ openAPIV3Schema: SCHEMA }),
      }),
    ),
  }),
})

/** Each page of docs/reference with its text. */
export function referencePages(): ReadonlyMap<string, string> {
  const pages = [
    ['docs/reference/configuration.md', configurationPage()],
    ['docs/reference/bgppeer.md', `${crdPage('config/crd-bgppeers.yaml')}${rules()}`],
    ['docs/reference/routeslice.md', crdPage('config/crd-routeslices.yaml')],
    ['docs/reference/eninode.md', crdPage('config/crd-eninodes.yaml')],
  ] as const
  return new Map(pages.map(([file, text]) => [file, pageWide(text)]))
}

function configurationPage(): string {
  const schema = SCHEMA.parse(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }))
  const rows = rowsOf(schema, '')
  const simple = rows.filter(({ path, schema: { properties } }) => !path.includes('.') && properties === undefined)
  const sections = rows.filter(({ path, schema: { properties } }) => !path.includes('.') && properties !== undefined)
  const parts = sections.map(({ path, schema: { description } }) => {
    const own = rows.filter(
      row => row.path.startsWith(`${path}.`) && row.schema.properties === undefined && row.schema.const === undefined,
    )
    return `## ${path}\n\n${wrapped(description ?? '')}\n\n${configurationTable(own)}`
  })
  return `# Reference: configuration

${GENERATED}

One file for node and controller, \`/etc/terway-edge/config.yaml\` or \`--config FILE\`, as YAML or JSON;
flags override it. Unknown keys are errors, and all problems are listed at once with their paths.
\`terway-edge config\` prints what is in effect.

## The file itself

${configurationTable(simple)}
${parts.join('\n')}`
}

function configurationTable(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ path, schema }) =>
      `| \`${path}\` | ${cell(typeText(schema))} | ${cell(defaultText(schema))} | ${cell(schema.description ?? '')} |`,
  )
  return `| key | value | default | meaning |\n|---|---|---|---|\n${lines.join('\n')}\n`
}

function defaultText({ default: value }: Schema): string {
  if (value === undefined) return ''
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function crdPage(file: string): string {
  const { spec } = CRD.parse(Bun.YAML.parse(readFileSync(file, 'utf8')))
  const [version] = spec.versions
  if (version === undefined) throw new Error(`${file} has no version`)
  const schema = version.schema.openAPIV3Schema
  const rows = rowsOf(schema, '').filter(({ path }) => !/^(apiVersion|kind|metadata)$/.test(path))
  const top = [...new Set(rows.map(({ path }) => path.split(/[.[]/)[0] ?? ''))]
  const parts = top.map(name => {
    const own = rows.filter(({ path }) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`))
    const description = own.find(({ path }) => path === name)?.schema.description ?? ''
    return `## ${name}\n\n${wrapped(description)}\n\n${crdTable(own.filter(({ path }) => path !== name))}`
  })
  const columns = version.additionalPrinterColumns.map(({ name, priority = 0 }) =>
    priority > 0 ? `${name.toUpperCase()} with \`-o wide\`` : name.toUpperCase(),
  )
  const shown =
    columns.length === 0
      ? ''
      : `\n${wrapped(`\`kubectl get ${spec.names.plural}\` shows NAME, ${columns.join(', ')}.`)}\n`
  return `# Reference: ${spec.names.kind}

${GENERATED}

${wrapped(`\`network.openyurt.io/${version.name}\`, for the whole cluster (no namespace). ${schema.description ?? ''}`)}
${shown}
${parts.join('\n')}`
}

function crdTable(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ path, schema, required }) =>
      `| \`${path}\` | ${cell(typeText(schema))} | ${required ? 'required' : ''} | ${cell(schema.description ?? '')} |`,
  )
  return `| field | value | | meaning |\n|---|---|---|---|\n${lines.join('\n')}\n`
}

function rules(): string {
  const lines = BGP_PEER_RULES.map(({ message }) => `- ${message}`)
  return `
## Rules about two fields

Servers from Kubernetes 1.25 on refuse what breaks one of them; before, the condition \`Accepted\` says
it.

${lines.join('\n')}
`
}

/** Every property below `schema`, parents first; items of a list as \`name[].field\`. */
function rowsOf(schema: Schema, path: string): Row[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const own = path === '' ? name : `${path}.${name}`
    const meaning = property.description ?? (path.includes('.') || path.includes('(') ? schema.description : undefined)
    const described = meaning === undefined ? property : { ...property, description: meaning }
    const row = { path: own, schema: described, required: schema.required?.includes(name) ?? false }
    const below = property.items?.properties === undefined ? [] : rowsOf(property.items, `${own}[]`)
    const choices = choicesOf(property).filter(({ properties }) => properties !== undefined)
    const variants = choices.flatMap(choice => rowsOf(choice, `${own} (${variantName(choice)})`))
    return [row, ...rowsOf(described, own), ...below, ...variants]
  })
}

function choicesOf({ anyOf, oneOf }: Schema): readonly Schema[] {
  return anyOf ?? oneOf ?? []
}

/** `from: oidc` of one of several objects. */
function variantName({ properties = {} }: Schema): string {
  return Object.entries(properties)
    .filter(([, { const: value }]) => value !== undefined)
    .map(([key, { const: value }]) => `${key}: ${value}`)
    .join(', ')
}

function typeText(schema: Schema): string {
  const { type, items, enum: values, const: value, minimum, maximum, format } = schema
  const choices = choicesOf(schema)
  if (value !== undefined) return `\`${value}\``
  if (values !== undefined) return values.map(choice => `\`${choice}\``).join(', ')
  if (format === 'ipv4' || format === 'ipv6') return `${format === 'ipv4' ? 'IPv4' : 'IPv6'} address`
  if (type === 'array') return `list of ${items === undefined ? 'anything' : typeText(items)}`
  if (type === 'integer' || type === 'number') return numberText(type, minimum, maximum)
  if (type === 'boolean') return '`true`, `false`'
  if (choices.length > 0 && choices.every(({ format: of }) => of === 'ipv4' || of === 'ipv6')) return 'address'
  if (choices.length > 0 && type === undefined)
    return choices
      .map(choice => (choice.properties === undefined ? typeText(choice) : variantName(choice)))
      .join(', or ')
  if (type === 'object') return 'fields'
  return format === 'date-time' ? 'time' : format === 'cidr' ? 'CIDR block' : 'text'
}

function numberText(type: 'integer' | 'number', minimum?: number, maximum?: number): string {
  const kind = type === 'integer' ? 'whole number' : 'number'
  const highest = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? undefined : maximum
  if (minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER) return kind
  return highest === undefined ? `${kind} from ${minimum} on` : `${kind}, ${minimum} to ${highest}`
}

/** Within a table: no bar, no line of its own. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

const GENERATED = '<!-- Written by scripts/reference.ts from what the programs read; do not edit. -->'
