/** What a release is built for. Pure. */

export interface Target {
  /** As in the names of files. */
  readonly name: 'linux-x64' | 'linux-x64-baseline' | 'linux-arm64'
  /** The npm package with Bun's executable, pinned in bases/bun.lock. */
  readonly base: string
}

export const TARGETS: readonly Target[] = [
  { name: 'linux-x64', base: '@oven/bun-linux-x64' },
  { name: 'linux-x64-baseline', base: '@oven/bun-linux-x64-baseline' },
  { name: 'linux-arm64', base: '@oven/bun-linux-aarch64' },
]

export interface Platform {
  /** As the OCI image specification and Debian name it. */
  readonly architecture: 'amd64' | 'arm64'
  /** The executable for it: of amd64 the one for every processor. */
  readonly target: Target['name']
  /** Debian's name of the triplet, and the dynamic loader that the executable names. */
  readonly triplet: string
  readonly loader: string
}

/** What the image is made for. */
export const PLATFORMS: readonly Platform[] = [
  {
    architecture: 'amd64',
    target: 'linux-x64-baseline',
    triplet: 'x86_64-linux-gnu',
    loader: '/lib64/ld-linux-x86-64.so.2',
  },
  {
    architecture: 'arm64',
    target: 'linux-arm64',
    triplet: 'aarch64-linux-gnu',
    loader: '/lib/ld-linux-aarch64.so.1',
  },
]
