/**
 * The sockets of probes: one that answers at each of this node's probe addresses, and fixed ones
 * that ask, so that a path is always tried with the same pairs of ports. Knows no verdicts: says
 * which question was answered. A socket that fails is opened anew for the next question.
 */
import { errorText } from '../lib/errors.ts'
import { decodeProbe, encodeAnswer, encodeQuestion } from './packet.ts'
import { askKernel, openUdpSocket, type UdpSocket, type Witness } from './udp.ts'

export type { Witness }

export interface ProbeSocketsOptions {
  /** Where probes are answered. */
  readonly port: number
  /** Whether a question is answered that asks for its answer at this address. */
  readonly mayAsk: (address: string) => boolean
  /** An answer came back. */
  readonly onAnswer: (token: string) => void
}

/** From where to ask: `mark` is 0 for the way that pods' packets take. */
export interface AskFrom {
  readonly address: string
  readonly mark: number
  /** The number of the pair of ports. */
  readonly ports: number
}

export interface Question {
  readonly token: string
  readonly address: string
  /** Octets of UDP payload. */
  readonly length: number
}

export class ProbeSockets {
  readonly #options: ProbeSocketsOptions
  /** By address. */
  readonly #answering = new Map<string, UdpSocket>()
  /** By address, mark and ports. */
  readonly #asking = new Map<string, UdpSocket>()
  #closed = false

  constructor(options: ProbeSocketsOptions) {
    this.#options = options
  }

  /** Answers at these addresses, and no longer at others. Returns what is in the way, in words. */
  async answerAt(addresses: readonly string[]): Promise<string[]> {
    for (const sockets of [this.#answering, this.#asking]) {
      for (const [key, socket] of sockets) {
        if (addresses.includes(key.split(' ')[0] ?? '')) continue
        socket.close()
        sockets.delete(key)
      }
    }
    const problems: string[] = []
    for (const address of addresses) {
      if (this.#answering.has(address)) continue
      try {
        this.#answering.set(address, await this.#open(address, this.#options.port, 0))
      } catch (error) {
        problems.push(`probes cannot be answered at ${address}, UDP port ${this.#options.port}: ${errorText(error)}`)
      }
    }
    return problems
  }

  /** Sends a question; one that cannot be sent is one that is not answered. */
  async ask({ address, mark, ports }: AskFrom, question: Question): Promise<void> {
    const key = `${address} ${mark} ${ports}`
    try {
      const socket = this.#asking.get(key) ?? (await this.#open(address, 0, mark))
      this.#asking.set(key, socket)
      const bytes = encodeQuestion(question.token, { address, port: socket.port }, question.length)
      socket.send(bytes, { address: question.address, port: this.#options.port })
    } catch {
      this.#asking.get(key)?.close()
      this.#asking.delete(key)
    }
  }

  /**
   * Asks the kernel of the far end, for when its process is away: undefined where that cannot be
   * sent.
   */
  witness({ address, mark }: Pick<AskFrom, 'address' | 'mark'>, to: string): Witness | undefined {
    try {
      return askKernel({ address, mark, to: { address: to, port: this.#options.port } })
    } catch {
      return undefined
    }
  }

  close(): void {
    this.#closed = true
    for (const socket of [...this.#answering.values(), ...this.#asking.values()]) socket.close()
    this.#answering.clear()
    this.#asking.clear()
  }

  async #open(address: string, port: number, mark: number): Promise<UdpSocket> {
    const socket: UdpSocket = await openUdpSocket({
      address,
      port,
      mark,
      onData: bytes => this.#received(socket, bytes),
    })
    if (!this.#closed) return socket
    socket.close()
    throw new Error('closed meanwhile')
  }

  #received(socket: UdpSocket, bytes: Uint8Array): void {
    const probe = decodeProbe(bytes)
    if (probe?.kind === 'answer') this.#options.onAnswer(probe.token)
    if (probe?.kind !== 'question' || !this.#options.mayAsk(probe.replyTo.address)) return
    try {
      socket.send(encodeAnswer(probe.token), probe.replyTo)
    } catch {
      // no way back from here: the asker sees a loss, which is what it is
    }
  }
}
