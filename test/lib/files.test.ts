/**
 * Files that are written whole, leftovers of a killed writer, and Secrets that do not print
 * themselves.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { readFileIfPresent, removeFile, removeLeftovers, writeFileWhole } from '../../src/lib/files.ts'
import { Secret } from '../../src/lib/secret.ts'

test('a file is written whole, with its mode, and nothing is left beside it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'terway-edge-files-'))
  try {
    const path = join(folder, 'deep', 'state.json')
    expect(readFileIfPresent(path)).toBeUndefined()
    writeFileWhole(path, 'one')
    writeFileWhole(path, 'two')
    expect(readFileIfPresent(path)).toBe('two')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(folder, 'deep'))).toEqual(['state.json'])
    removeFile(path)
    removeFile(path)
    expect(readdirSync(join(folder, 'deep'))).toEqual([])
    expect(() => writeFileWhole(join(folder, 'deep'), 'x')).toThrow('cannot write')
    expect(readdirSync(folder)).toEqual(['deep'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a Secret never turns into its text by accident', () => {
  const secret = new Secret('hunter2')
  const texts = [`${secret}`, JSON.stringify({ secret }), inspect({ secret }), Bun.inspect(secret), String(secret)]
  for (const text of texts) expect(text).not.toContain('hunter2')
  expect(secret.reveal()).toBe('hunter2')
})

test('leftovers of a killed writer are removed, and nothing else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'terway-edge-files-'))
  try {
    for (const name of ['.12.1700000000000.part', 'state.json', '.hidden', 'x.part', '.12.part']) {
      writeFileWhole(join(folder, name), 'x')
    }
    removeLeftovers(folder)
    expect(readdirSync(folder).sort()).toEqual(['.12.part', '.hidden', 'state.json', 'x.part'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
