/**
 * The plugin as a process: environment and stdin in, one JSON object on stdout and the exit status
 * out (CNI 1.1.0 section 2). It has the server (server.ts) do the work where that answers, and does
 * it itself where not; the code for that is loaded only then.
 *
 * A runtime waits for this on every start of a pod: it loads none of Node's modules, of which the
 * smallest takes a fifth of the whole.
 */
import { print } from '../lib/stdout.ts'
import { FORMAT, LIMITS, SERVED, type ServedReply, type ServedRequest, SOCKET_FILE } from './exchange.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The subcommand `cni`, and what runs when CNI_COMMAND is set. Takes no arguments. Returns the exit
 * status.
 */
export async function cniCommand(args: readonly string[]): Promise<number> {
  if (args.length > 0) {
    const asked = args[0] === '--help' || args[0] === '-h'
    const text = 'a container runtime calls it with CNI_COMMAND set and the configuration on stdin'
    if (asked) print(`Usage: terway-edge cni\n\nThe CNI plugin: ${text}.\n`)
    else console.error(`terway-edge cni takes no arguments: ${text}`)
    return asked ? 0 : 2
  }
  const reply = await answerProcess(process.env)
  if (reply.output !== undefined) print(`${JSON.stringify(reply.output)}\n`)
  return reply.exitStatus
}

type Answered = ServedReply & { readonly exitStatus: 0 | 1 }

type Asked = Omit<ServedRequest, 'format' | 'deadline' | 'environment'> & { readonly environment: Environment }

async function answerProcess(environment: Environment): Promise<Answered> {
  const command = environment.CNI_COMMAND ?? ''
  // Someone at a terminal, without a command, is told so and not kept waiting for input.
  const known = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'].includes(command)
  const asked = SERVED.includes(command)
  // what can go on while stdin is read
  const namespaces = asked ? Promise.all([inode('/proc/self/ns/net'), inode(environment.CNI_NETNS ?? '')]) : undefined
  const own = asked ? undefined : import('./plugin.ts')
  let stdin: string
  try {
    stdin = known ? await Bun.stdin.text() : ''
  } catch (error) {
    return (await import('./plugin.ts')).unreadable(error)
  }
  const [ownNamespace, podNamespace] = (await namespaces) ?? []
  const served =
    ownNamespace !== undefined
      ? await askServer({ environment, stdin, ownNamespace, ...(podNamespace !== undefined && { podNamespace }) })
      : undefined
  return served ?? (await (own ?? import('./plugin.ts'))).answer(environment, stdin)
}

/** The server's answer; undefined when it gives none, for whatever reason. */
async function askServer(asked: Asked): Promise<Answered | undefined> {
  const folder = stateFolder(asked.stdin)
  if (folder === undefined) return undefined
  try {
    const deadline = Date.now() + LIMITS.answerMilliseconds
    const request: ServedRequest = { ...asked, format: FORMAT, deadline, environment: cniVariables(asked.environment) }
    const reply: ServedReply = JSON.parse(await exchange(`${folder}/${SOCKET_FILE}`, `${JSON.stringify(request)}\n`))
    const { exitStatus } = reply
    return exitStatus === undefined ? undefined : { ...reply, exitStatus }
  } catch {
    return undefined // no server, or one that ended meanwhile
  }
}

/** What `decode.ts` will take for the state folder of a configuration that it accepts. */
function stateFolder(stdin: string): string | undefined {
  try {
    const folder: unknown = JSON.parse(stdin).stateDir ?? '/var/lib/terway-edge'
    return typeof folder === 'string' && folder.startsWith('/') ? folder : undefined
  } catch {
    return undefined
  }
}

function cniVariables(environment: Environment): Record<string, string> {
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (name.startsWith('CNI_') && value !== undefined) variables[name] = value
  }
  return variables
}

async function inode(path: string): Promise<number | undefined> {
  if (path === '') return undefined
  try {
    return (await Bun.file(path).stat()).ino
  } catch {
    return undefined
  }
}

/** Sends a line and resolves with the line that comes back. */
function exchange(path: string, line: string): Promise<string> {
  const decoder = new TextDecoder()
  let rest: Uint8Array = new TextEncoder().encode(line)
  let text = ''
  let timer: Timer | undefined
  const send = (socket: Bun.Socket) => {
    const taken = socket.write(rest)
    rest = rest.subarray(Math.max(0, taken))
  }
  const exchanged = new Promise<string>((resolve, reject) => {
    Bun.connect({
      unix: path,
      socket: {
        open(socket) {
          timer = setTimeout(() => socket.terminate(), LIMITS.answerMilliseconds)
          send(socket)
        },
        drain: send,
        data(_, bytes) {
          text += decoder.decode(bytes, { stream: true })
          if (text.endsWith('\n')) resolve(text)
        },
        close: () => reject(new Error('closed')),
        error: (_, error) => reject(error),
      },
    }).catch(reject)
  })
  return exchanged.finally(() => clearTimeout(timer))
}
