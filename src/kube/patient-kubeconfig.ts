/**
 * The kubeconfig of a node that has a good state to go on from: one that cannot be read (damaged,
 * not there yet) is a server that cannot be reached, with the reason, and is read again with each
 * try.
 */
import { errorText, UserError } from '../lib/errors.ts'
import { loadClusterState } from './cluster-state.ts'
import { type Credentials, type Kubeconfig, loadKubeconfig } from './kubeconfig.ts'
import { renewedTokenFile } from './token-renewal.ts'

/**
 * Reads `file`. Throws `UserError` (status 2) where it is bad and the state folder has nothing to
 * go on from.
 */
export function nodeKubeconfig(file: string | undefined, stateDir: string): Kubeconfig {
  try {
    return loadKubeconfig(file, renewedTokenFile(stateDir))
  } catch (error) {
    if (!(error instanceof UserError) || loadClusterState(stateDir).state === undefined) throw error
    return new PatientKubeconfig(file, { stateDir, problem: error })
  }
}

class PatientKubeconfig implements Kubeconfig {
  readonly #file: string | undefined
  readonly #stateDir: string
  #loaded: Kubeconfig | undefined
  #problem: UserError

  constructor(file: string | undefined, { stateDir, problem }: { stateDir: string; problem: UserError }) {
    this.#file = file
    this.#stateDir = stateDir
    this.#problem = problem
  }
  get server(): string {
    return this.#loaded?.server ?? `(${errorText(this.#problem)})`
  }
  get origin(): string {
    return this.#loaded?.origin ?? this.#file ?? 'the service account of this pod'
  }
  async credentials(): Promise<Credentials> {
    this.#loaded ??= this.#load()
    return this.#loaded.credentials()
  }
  refresh(): void {
    this.#loaded?.refresh()
  }
  #load(): Kubeconfig {
    try {
      return loadKubeconfig(this.#file, renewedTokenFile(this.#stateDir))
    } catch (error) {
      if (error instanceof UserError) this.#problem = error
      throw error
    }
  }
}
