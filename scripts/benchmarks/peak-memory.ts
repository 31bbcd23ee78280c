/**
 * The most memory that a program, or one that it started and waited for, had resident: asked of GNU
 * time, whose own is small.
 */

export interface Start {
  readonly env: Readonly<Record<string, string>>
  readonly stdin: Buffer
}

/** In MB; throws when the program fails. */
export function peakMegabytes(command: readonly string[], { env, stdin }: Start): number {
  const done = Bun.spawnSync(['/usr/bin/time', '-f', '%M', ...command], {
    env: { ...env },
    stdin,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  if (done.exitCode !== 0) throw new Error(`${command.join(' ')}: ${done.stdout}${done.stderr}`)
  return Number(done.stderr.toString().trim().split('\n').at(-1)) / 1000
}
