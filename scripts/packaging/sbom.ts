/**
 * A software bill of materials as CycloneDX 1.5 JSON (https://cyclonedx.org/docs/1.5/json/). Pure.
 */
import { createHash } from 'node:crypto'
import type { Component } from './components.ts'

export interface Sbom {
  readonly version: string
  readonly commit: string
  /** Of the commit, in seconds. */
  readonly time: number
  readonly components: readonly Component[]
}

export function sbomText({ version, commit, time, components }: Sbom): string {
  const document = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${uuidOf(`${version} ${commit}`)}`,
    version: 1,
    metadata: {
      timestamp: new Date(time * 1000).toISOString(),
      component: {
        type: 'application',
        'bom-ref': 'terway-edge',
        name: 'terway-edge',
        version,
        licenses: [{ license: { id: 'Apache-2.0' } }],
        properties: [{ name: 'commit', value: commit }],
      },
    },
    components: components.map(componentOf),
    dependencies: [{ ref: 'terway-edge', dependsOn: components.map(refOf) }],
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

function refOf({ name, version, purl }: Component): string {
  return purl ?? `${name}${version === undefined ? '' : `@${version}`}`
}

function componentOf(component: Component) {
  const { name, version, license, url, purl, sha512 } = component
  return {
    type: 'library',
    'bom-ref': refOf(component),
    name,
    ...(version !== undefined && { version }),
    ...(sha512 !== undefined && { hashes: [{ alg: 'SHA-512', content: sha512 }] }),
    licenses: [{ expression: license }],
    ...(purl !== undefined && { purl }),
    externalReferences: [{ type: 'website', url }],
  }
}

/** The same for the same text: version 5 of RFC 9562, without a name space. */
function uuidOf(text: string): string {
  const hex = createHash('sha1').update(text).digest('hex')
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `${variant}${hex.slice(18, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
