/**
 * What `switch-config` prints, word for word, for every vendor: golden/NAME.txt, whose header names
 * the source of the words. A change is looked at there; TERWAY_EDGE_GOLDEN=write writes them anew.
 * No line is longer than a terminal can hold, none has a word that is none.
 */
import { expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { switchConfigText, type Vendor } from '../../../src/planner/vendors/vendor.ts'
import { VENDORS } from '../../../src/planner/vendors/vendors.ts'
import { INTENTS } from './intents.ts'

function golden(vendor: Vendor): string {
  const header = [
    `${vendor.title}: the output of terway-edge switch-config --vendor ${vendor.name}`,
    vendor.ranWith !== undefined
      ? `Run: loaded into ${vendor.ranWith} by daemons.test.ts.${vendor.checkedWith === undefined ? '' : ` Taken by the configuration check of ${vendor.checkedWith}.`}`
      : 'Not run on a device: its words follow these sources.',
    ...vendor.sources.map(source => `Source: ${source}`),
    ...(vendor.unconfirmed ?? []).map(words => `Not found in a source: ${words}`),
  ]
  const outputs = Object.entries(INTENTS).map(
    ([title, intent]) => `=== ${title} ===\n${switchConfigText(vendor, intent)}`,
  )
  return `${header.join('\n')}\n\n${outputs.join('\n')}`
}

test.each(VENDORS.map(vendor => [vendor.name, vendor] as const))('%s', (name, vendor) => {
  const file = `${import.meta.dir}/golden/${name}.txt`
  const text = golden(vendor)
  if (process.env.TERWAY_EDGE_GOLDEN === 'write') writeFileSync(file, text)
  expect(text).toBe(readFileSync(file, 'utf8'))
})

test.each(VENDORS.map(vendor => [vendor.name, vendor] as const))(
  '%s: every intent is said whole, or said to be impossible',
  (_, vendor) => {
    expect(vendor.sources.length).toBeGreaterThan(0)
    for (const [title, intent] of Object.entries(INTENTS)) {
      const text = switchConfigText(vendor, intent)
      const config = vendor.configure(intent).join('\n')
      expect(text, title).not.toMatch(/undefined|NaN|\[object/)
      for (const { address } of intent.speakers) expect(config, title).toContain(address)
      for (const { cidr } of intent.pools) expect(config, title).toContain(cidr.split('/')[0] ?? cidr)
      for (const asNumber of [intent.switchAs, intent.nodesAs]) expect(config, title).toContain(String(asNumber))
      if (intent.password !== undefined) expect(config, title).toContain(intent.password)
      // of a family, or of all together
      expect(config, title).toMatch(
        new RegExp(`\\b(${intent.maximumPrefixes}|${intent.maximumPrefixes * intent.families.length})\\b`),
      )
      const missing = vendor.missing(intent).join('\n')
      const said = (word: RegExp, wanted: boolean) => {
        if (wanted) expect(`${config}\n${missing}`, `${title}: ${word}`).toMatch(word)
      }
      said(/graceful/i, intent.restartTimeSeconds !== undefined)
      said(/bfd/i, intent.bfd !== undefined)
      said(/ttl/i, intent.ttlSecurity !== undefined)
      said(/multihop|ebgp-max-hop/i, intent.multihop !== undefined)
      said(/8950|extended|ipv6-next-hops/i, intent.extendedNextHop)
      said(/long.?lived|9494/i, intent.longLivedSeconds !== undefined)
      expect(vendor.look(intent).length).toBeGreaterThan(0)
      expect(vendor.undo(intent).length).toBeGreaterThan(0)
    }
  },
)
