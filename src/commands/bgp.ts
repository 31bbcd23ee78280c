/**
 * `terway-edge bgp decode`: BGP messages from hexadecimal lines or a capture file, one JSON object
 * per line on stdout. Reads and prints; what the octets mean is decided in src/bgp.
 */
import { CaptureReport } from '../bgp/report/capture-report.ts'
import { type Report, reportMessage, reportNoMessage } from '../bgp/report/decode-report.ts'
import { type HexLine, HexLines } from '../bgp/report/hex-lines.ts'
import { type ReportContext, reportContext } from '../bgp/report/report-options.ts'
import { UserError } from '../lib/errors.ts'
import { FAMILIES, type Family } from '../lib/ip.ts'
import { jsonText } from '../lib/json-text.ts'
import { print, stdoutIsRead } from '../lib/stdout.ts'
import { createProgram, runProgram } from './program.ts'

interface DecodeOptions {
  readonly as2?: boolean
  readonly ibgp?: boolean
  readonly families: string
  readonly extendedMessages?: boolean
  readonly extendedNextHop: boolean
  readonly addPath?: string
  readonly orf?: boolean
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
      'tcpdump -U -w - port 179 | terway-edge bgp decode --pcap -   # as they come',
    ],
  )
    .option('--as2', 'AS numbers in UPDATE have 2 octets (default: 4, RFC 6793)')
    .option('--ibgp', 'the peer is internal: LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST are its to send')
    .option('--families <list>', 'address families of the session', FAMILIES.join(','))
    .option('--extended-messages', 'messages of up to 65535 octets (RFC 8654)')
    .option('--no-extended-next-hop', 'IPv4 prefixes have IPv4 next hops only (default: IPv6 too, RFC 8950)')
    .option('--add-path <list>', 'families whose prefixes come with path identifiers (RFC 7911)')
    .option('--orf', 'ROUTE-REFRESH may hold route filters (RFC 5291): they are shown, not judged')
    .option(
      '--pcap <file>',
      'read TCP streams from a pcap or pcapng file (-: from stdin) instead; its OPENs decide the options of each session',
    )
  return runProgram<DecodeOptions>(program, args, async options => {
    const context = reportContext({
      as2: options.as2 ?? false,
      ibgp: options.ibgp ?? false,
      families: readFamilies('families', options.families),
      extendedMessages: options.extendedMessages ?? false,
      extendedNextHop: options.extendedNextHop,
      addPath: options.addPath === undefined ? [] : readFamilies('add-path', options.addPath),
      orf: options.orf ?? false,
    })
    return options.pcap === undefined ? decodeLines(context) : decodeCapture(options.pcap, context)
  })
}

function readFamilies(option: string, text: string): Family[] {
  const names = text.split(',').map(name => name.trim())
  return names.map(name => {
    const family = FAMILIES.find(known => known === name)
    if (family === undefined) {
      throw new UserError(`--${option} ${text}: ${JSON.stringify(name)} is none of ${FAMILIES.join(', ')}`, {
        exitStatus: 2,
      })
    }
    return family
  })
}

async function decodeLines(context: ReportContext): Promise<number> {
  const decoder = new TextDecoder()
  const lines = new HexLines()
  let status = 0
  const show = (some: readonly HexLine[]): Promise<boolean> => {
    if (some.some(({ kind }) => kind === 'not-hex' || kind === 'too-long')) status = 1
    return printReports(some.map(line => reportLine(line, context)).filter(report => report !== undefined))
  }
  for await (const chunk of Bun.stdin.stream()) {
    if (!(await show(lines.push(decoder.decode(chunk, { stream: true }))))) return status
  }
  await show([lines.end()])
  return status
}

function reportLine(line: HexLine, context: ReportContext): Report | undefined {
  if (line.kind === 'empty') return undefined
  return line.kind === 'bytes' ? reportMessage(line.bytes, context) : reportNoMessage(line.kind)
}

async function decodeCapture(file: string, context: ReportContext): Promise<number> {
  const capture = new CaptureReport(context)
  const name = file === '-' ? 'stdin' : file
  try {
    for await (const chunk of file === '-' ? Bun.stdin.stream() : Bun.file(file).stream()) {
      if (!(await printReports(capture.push(chunk)))) return 0
    }
  } catch (cause) {
    throw new UserError(`cannot read the capture ${name}`, { cause })
  }
  const { reports, isCapture, notes } = capture.end()
  if (!isCapture) throw new UserError(`${name} is neither a pcap nor a pcapng file`)
  await printReports(reports)
  for (const note of notes) process.stderr.write(`terway-edge bgp decode: ${name}: ${note}\n`)
  return 0
}

/**
 * So many are made to text at once: a chunk of a capture may hold thousands, and one may be long.
 */
const BATCH = 256

/** Waits while the reader of stdout is slow; false when there is no reader any more (`| head`). */
async function printReports(reports: readonly Report[]): Promise<boolean> {
  for (let start = 0; start < reports.length; start += BATCH) {
    print(
      reports
        .slice(start, start + BATCH)
        .map(report => `${jsonText(report)}\n`)
        .join(''),
    )
    if (!(await stdoutIsRead())) return false
  }
  return true
}
