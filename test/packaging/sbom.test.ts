/** The bill of materials, as CycloneDX 1.5 wants it. */
import { expect, test } from 'bun:test'
import { sbomText } from '../../scripts/packaging/sbom.ts'

const INPUT = {
  version: '1.2.3',
  commit: 'abc',
  time: 1_700_000_000,
  components: [
    {
      name: '@a/b',
      version: '2.0.0',
      license: 'MIT',
      url: 'https://x',
      text: '',
      purl: 'pkg:npm/%40a/b@2.0.0',
      sha512: '00',
    },
    { name: 'zlib', license: 'Zlib', url: 'https://y', text: '' },
  ],
}

test('names what is inside, each once, with licence and hash, and is the same for the same commit', () => {
  const bom = JSON.parse(sbomText(INPUT))
  expect(bom).toMatchObject({
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    metadata: { timestamp: '2023-11-14T22:13:20.000Z', component: { name: 'terway-edge', version: '1.2.3' } },
    components: [
      { name: '@a/b', purl: 'pkg:npm/%40a/b@2.0.0', licenses: [{ expression: 'MIT' }], hashes: [{ alg: 'SHA-512' }] },
      { name: 'zlib', 'bom-ref': 'zlib' },
    ],
    dependencies: [{ ref: 'terway-edge', dependsOn: ['pkg:npm/%40a/b@2.0.0', 'zlib'] }],
  })
  expect(bom.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(sbomText(INPUT)).toBe(sbomText(INPUT))
  expect(JSON.parse(sbomText({ ...INPUT, commit: 'abd' })).serialNumber).not.toBe(bom.serialNumber)
})
