/**
 * All documents, README to docs/: links lead somewhere, blocks of shell are what bash understands,
 * every command of ours in them is taken by the argument parser, and every block of YAML or JSON by
 * the decoder that would read it. What the commands do is tested where they are.
 */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { parseConfig } from '../../src/config/load.ts'
import { decodeBGPPeer } from '../../src/kube/decode-bgp-peer.ts'
import { decodeENINode } from '../../src/kube/decode-eni-node.ts'
import { decodeRouteSlice } from '../../src/kube/route-slice.ts'
import { decodeNetwork } from '../../src/planner/network.ts'
import { codeBlocks } from './markdown.ts'
import { shellWords } from './shell-words.ts'

const FILES = ['*.md', 'docs/**/*.md'].flatMap(pattern => [...new Bun.Glob(pattern).scanSync('.')]).sort()
const DOCUMENTS = new Map(FILES.map(file => [file, readFileSync(file, 'utf8')]))

/** The sections of a page as a link names them. */
function anchors(markdown: string): Set<string> {
  const headings = [...markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)]
  return new Set(
    headings.map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

test('every link within the documents leads somewhere', () => {
  expect(FILES.length).toBeGreaterThan(25)
  const dead = [...DOCUMENTS].flatMap(([file, markdown]) =>
    [...markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)]
      .filter(([, path = '', anchor]) => {
        const target = path === '' ? file : join(dirname(file), path)
        if (!existsSync(target)) return true
        return anchor !== undefined && !anchors(readFileSync(target, 'utf8')).has(anchor)
      })
      .map(([link]) => `${file}: ${link}`),
  )
  expect(dead).toEqual([])
})

/** Programs of others that the documents show. Only those that a reader has, or is told to get. */
const OTHERS = new Set(
  'apt-get birdc brctl bun containerd ctr git ip journalctl kubeadm kubectl k3s nmcli openssl ping podman rm sha256sum ssh systemctl tcpdump'.split(
    ' ',
  ),
)

function shellBlocks(markdown: string): string[] {
  return codeBlocks(markdown)
    .filter(({ language }) => language === 'sh')
    .map(({ text }) => (/^\$ /m.test(text) ? (text.match(/(?<=^\$ ).*/gm) ?? []).join('\n') : text))
}

/** Commands of ours within a line of prose: `sudo terway-edge doctor`. */
function inlineCommands(markdown: string): string[] {
  return [...markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`((?:sudo )?(?:\.\/)?terway-edge [^`]+)`/g)]
    .map(([, command = '']) => command.replace(/\s+/g, ' '))
    .filter(command => !/…|\[|\\\||COMMAND|--$/.test(command))
}

const COMMANDS = [...DOCUMENTS].flatMap(([file, markdown]) =>
  [...shellBlocks(markdown).filter(text => !/…/.test(text)), ...inlineCommands(markdown)].flatMap(text =>
    shellWords(text).map(words => ({ file, words })),
  ),
)

test('blocks of shell show our commands, and programs that a reader can have', () => {
  expect(COMMANDS.length).toBeGreaterThan(100)
  const unknown = COMMANDS.filter(
    ({ words: [program = ''] }) => !/^(terway-edge$|scripts\/)/.test(program) && !OTHERS.has(program),
  )
  expect(unknown).toEqual([])
})

test('the argument parser takes every command of ours', () => {
  const ours = COMMANDS.filter(({ words: [program] }) => program === 'terway-edge')
  const child = Bun.spawnSync([process.execPath, 'test/docs/parse-commands.ts'], {
    stdin: Buffer.from(JSON.stringify(ours.map(({ words: [, ...args] }) => args))),
  })
  const answers = z.array(z.string()).parse(JSON.parse(String(child.stdout).split('\n').at(-1) ?? ''))
  const refused = ours.flatMap(({ file, words }, index) =>
    answers[index] === '' ? [] : [`${file}: ${words.join(' ')}: ${answers[index]}`],
  )
  expect(refused).toEqual([])
}, 300_000)

/** Which decoder would read a block, by what stands in it; undefined: it is of another program. */
function problemsOf(text: string, file: string): readonly unknown[] {
  const value: unknown = Bun.YAML.parse(text)
  const { kind } = z.looseObject({ kind: z.string().optional() }).parse(value)
  const bgpPeer = kind === 'BGPPeer' ? decodeBGPPeer(value) : undefined
  if (bgpPeer !== undefined) return 'problems' in bgpPeer ? bgpPeer.problems : []
  if (kind === 'RouteSlice') return decodeRouteSlice(value).problems
  if (kind === 'ENINode') return decodeENINode(value).problems
  if (kind !== undefined) return OTHER_KINDS.has(kind) ? [] : [`nothing here reads ${kind}`]
  if (/^(vpc|serviceCIDRs):/m.test(text)) return attempt(() => decodeNetwork(text, file))
  // judged by promtool: test/status/monitoring.test.ts
  if (/^scrape_configs:/m.test(text)) return []
  return attempt(() => parseConfig(text, file))
}

/** Of Kubernetes, k3s and kubeadm. */
const OTHER_KINDS = new Set(['Secret', 'ClusterConfiguration', 'InitConfiguration', 'Role', 'RoleBinding'])

function attempt(decode: () => unknown): string[] {
  try {
    decode()
    return []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

test('every block of YAML is what its reader understands', () => {
  const wrong = [...DOCUMENTS].flatMap(([file, markdown]) =>
    codeBlocks(markdown)
      .filter(({ language }) => /^ya?ml$/.test(language))
      .flatMap(({ text }) => problemsOf(text, file).map(problem => `${file}: ${JSON.stringify(problem)}\n${text}`)),
  )
  expect(wrong).toEqual([])
})

test('every block of JSON is JSON', () => {
  const wrong = [...DOCUMENTS].flatMap(([file, markdown]) =>
    codeBlocks(markdown)
      .filter(({ language }) => language === 'json')
      .flatMap(({ text }) => attempt(() => JSON.parse(text)).map(problem => `${file}: ${problem}`)),
  )
  expect(wrong).toEqual([])
})
