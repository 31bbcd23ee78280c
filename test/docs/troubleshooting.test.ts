/**
 * docs/troubleshooting.md and the checks of `doctor` belong together: a section for each check, and
 * none beside them; each check is made somewhere.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { CHECKS, type CheckName, helpOf } from '../../src/doctor/verdicts.ts'

const FILE = 'docs/troubleshooting.md'
const sections = readFileSync(FILE, 'utf8').split('## What doctor checks')[1] ?? ''
const titles = [...sections.matchAll(/^### (.*)$/gm)].map(([, title = '']) => title)

test('a section for each check, in the order of the checks, and no other', () => {
  expect(titles).toEqual([...CHECKS])
})

test('the link that doctor prints is that of the section', () => {
  const nameOf = (check: (typeof CHECKS)[number]): CheckName => (check === 'BGPPeer' ? 'BGPPeer lan-a' : check)
  const anchor = (title: string) => `${FILE}#${title.toLowerCase().replaceAll(' ', '-')}`
  expect(CHECKS.map(check => helpOf(nameOf(check)))).toEqual(titles.map(anchor))
})

test('every check is made by doctor', () => {
  const sources = [...new Bun.Glob('src/doctor/*.ts').scanSync('.')]
    .filter(file => !file.endsWith('/verdicts.ts'))
    .map(file => readFileSync(file, 'utf8'))
    .join('\n')
  expect(CHECKS.filter(check => !sources.includes(check === 'BGPPeer' ? '`BGPPeer ' : `'${check}'`))).toEqual([])
})
