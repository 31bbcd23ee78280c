/**
 * `terway-edge bgp decode`: BGP messages from hexadecimal lines or a capture file, one JSON object per line on stdout. Reads and prints;
 * what the octets mean is decided in src/bgp.
 */
import { readFile } from 'node:fs/promises'
import type { CodecContext } from '../bgp/codec/message-types.ts'
import { reportCapture } from '../bgp/report/capture-report.ts'
import { type Report, readHexLine, reportContext, reportMessage, reportNotHex } from '../bgp/report/decode-report.ts'
import { UserError } from '../lib/errors.ts'
import { FAMILIES, type Family } from '../lib/ip.ts'
import { print, stdoutIsRead } from '../lib/stdout.ts'
import { createProgram, runProgram } from './program.ts'

interface DecodeOptions {
  readonly as2?: boolean
  readonly ibgp?: boolean
  readonly families: string
  readonly extendedMessages?: boolean
  readonly pcap?: string
}

const USAGE = `Usage: terway-edge bgp decode [OPTIONS]

Commands:
  decode  hexadecimal BGP messages on stdin, or a capture file, to one JSON object per line

'terway-edge bgp decode --help' tells more.
`

export async function bgpCommand(args: string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === 'decode') return decode(rest)
  const asked = name === undefined || name === '--help' || name === '-h' || name === 'help'
  if (!asked) throw new UserError(`there is no subcommand ${JSON.stringify(name)}; there is decode`, { exitStatus: 2 })
  print(USAGE)
  return name === undefined ? 2 : 0
}

function decode(args: readonly string[]): Promise<number> {
  const program = createProgram(
    'bgp decode',
    'Decodes BGP messages: one per line of hexadecimal on stdin (spaces, colons and 0x are ignored, # starts a comment), one JSON ' +
      'object per line on stdout, with what RFC 4271 and RFC 7606 make of it as "outcome". Exit status 0 when all lines could be read.',
    [
      'echo ffffffffffffffffffffffffffffffff001304 | terway-edge bgp decode',
      'terway-edge bgp decode --as2 --families ipv4 < messages.txt',
      'tcpdump -w bgp.pcap port 179; terway-edge bgp decode --pcap bgp.pcap | jq -c "select(.outcome != \\"ok\\")"',
    ],
  )
    .option('--as2', 'AS numbers in UPDATE have 2 octets (default: 4, RFC 6793)')
    .option('--ibgp', 'the peer is internal: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST are its to send')
    .option('--families <list>', 'address families of the session', FAMILIES.join(','))
    .option('--extended-messages', 'messages of up to 65535 octets (RFC 8654)')
    .option(
      '--pcap <file>',
      'read TCP streams from a pcap or pcapng file instead; its OPENs decide the options of each session',
    )
  return runProgram<DecodeOptions>(program, args, async options => {
    const context = reportContext({
      as2: options.as2 ?? false,
      ibgp: options.ibgp ?? false,
      families: readFamilies(options.families),
      extendedMessages: options.extendedMessages ?? false,
    })
    return options.pcap === undefined ? decodeLines(context) : decodeCapture(options.pcap, context)
  })
}

function readFamilies(text: string): Family[] {
  const names = text.split(',').map(name => name.trim())
  return names.map(name => {
    const family = FAMILIES.find(known => known === name)
    if (family === undefined) {
      throw new UserError(`--families ${text}: ${JSON.stringify(name)} is none of ${FAMILIES.join(', ')}`, {
        exitStatus: 2,
      })
    }
    return family
  })
}

async function decodeLines(context: CodecContext): Promise<number> {
  let status = 0
  for await (const lines of chunksOfLines()) {
    const reports: Report[] = []
    for (const text of lines) {
      const line = readHexLine(text)
      if (line.kind === 'empty') continue
      if (line.kind === 'not-hex') status = 1
      reports.push(line.kind === 'not-hex' ? reportNotHex() : reportMessage(line.bytes, context))
    }
    if (!(await printReports(reports))) break
  }
  return status
}

/** The lines of stdin as they arrive: many at once from a file, one at a time from a person. */
async function* chunksOfLines(): AsyncGenerator<string[]> {
  const decoder = new TextDecoder()
  let partial = ''
  for await (const chunk of Bun.stdin.stream()) {
    const lines = (partial + decoder.decode(chunk, { stream: true })).split('\n')
    partial = lines.pop() ?? ''
    yield lines
  }
  yield [partial]
}

async function decodeCapture(file: string, context: CodecContext): Promise<number> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(file)
  } catch (cause) {
    throw new UserError(`cannot read the capture ${file}`, { cause })
  }
  const reports = reportCapture(bytes, context)
  if (reports === undefined) throw new UserError(`${file} is neither a pcap nor a pcapng file`)
  for (const some of batches(reports)) if (!(await printReports(some))) break
  return 0
}

const BATCH = 256

function* batches(reports: Iterable<Report>): Generator<Report[]> {
  let batch: Report[] = []
  for (const report of reports) {
    batch.push(report)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  yield batch
}

/** Waits while the reader of stdout is slow; false when there is no reader any more (`| head`). */
function printReports(reports: readonly Report[]): Promise<boolean> {
  print(reports.map(report => `${JSON.stringify(report)}\n`).join(''))
  return stdoutIsRead()
}
