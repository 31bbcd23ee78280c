/**
 * What a CustomResourceDefinition says beside its schema: what kubectl prints names fields that
 * there are, and a kind with a status keeps it apart from what people write.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { GENERATED } from '../../scripts/crd-text.ts'
import type { ObjectProperty, Property } from '../../src/kube/openapi.ts'
import { parseYaml } from '../../src/lib/yaml.ts'

interface Column {
  readonly name: string
  readonly type: string
  readonly jsonPath: string
  readonly priority?: number
}

interface Definition {
  readonly spec: {
    readonly scope: string
    readonly versions: readonly {
      readonly served: boolean
      readonly storage: boolean
      readonly subresources?: { readonly status?: object }
      readonly additionalPrinterColumns?: readonly Column[]
    }[]
  }
}

const versionOf = (file: string) => {
  const { spec } = parseYaml(readFileSync(file, 'utf8'), file) as Definition
  return { scope: spec.scope, versions: spec.versions, columns: spec.versions[0]?.additionalPrinterColumns ?? [] }
}

/** The property that a path such as `.spec.peerIP` leads to. */
function propertyAt(schema: ObjectProperty, path: string): Property | undefined {
  return path
    .split('.')
    .filter(Boolean)
    .reduce<Property | undefined>(
      (at, name) => (at?.type === 'object' && 'properties' in at ? at.properties?.[name] : undefined),
      schema,
    )
}

test('the columns of a BGPPeer are those that its users know', () => {
  const { columns } = versionOf('config/crd-bgppeers.yaml')
  const names = (wide: boolean) => columns.filter(({ priority = 0 }) => priority > 0 === wide).map(({ name }) => name)
  expect(names(false)).toEqual(['LocalSpeakers', 'LocalAsNumber', 'PeerIP', 'PeerAsNumber', 'Age'])
  expect(names(true).slice(0, 2)).toEqual(['Sessions', 'Prefixes'])
})

test.each(GENERATED.map(({ file, schema }) => [file, schema] as const))('%s', (file, schema) => {
  const { scope, versions, columns } = versionOf(file)
  expect([scope, versions.length]).toEqual(['Cluster', 1])
  expect(versions[0]).toMatchObject({ served: true, storage: true })
  expect(versions[0]?.subresources?.status !== undefined).toBe(schema.properties?.status !== undefined)
  const plain = columns.filter(({ jsonPath }) => /^(?:\.\w+)+$/.test(jsonPath) && !jsonPath.startsWith('.metadata.'))
  expect(plain.filter(({ jsonPath }) => propertyAt(schema, jsonPath) === undefined)).toEqual([])
})
