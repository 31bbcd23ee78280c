/**
 * What `install --plugin-only` has to do: the CNI plugin alone, as a copy of the executable, for
 * nodes whose process runs in a container. That process is root without the right to pass over
 * owners, so what a former installation handed to the services' user comes back. Pure.
 */
import type { Config } from '../config/schema.ts'
import { type InstallPlan, pluginPaths, type WantedInstall } from './install-plan.ts'
import { EXECUTABLE, UNITS } from './installed-files.ts'
import { isFileOf, isLinkTo, type SeenMachine } from './seen-machine.ts'
import { giveBackSteps, pathsToHandOver } from './service-user.ts'
import type { Step } from './steps.ts'

type Wanted = Pick<WantedInstall, 'config' | 'executable'>

/** The paths that `planPluginInstall` wants to have been looked at. */
export function pathsToSeeForPlugin(config: Config): string[] {
  return [...pluginPaths(config), ...pathsToHandOver(config), ...UNITS]
}

/**
 * The plugin's names that were made here, by either installation: links to the executable, or a
 * copy of it under its own name and a link to that. A `loopback` that is neither is the CNI
 * project's.
 */
export function installedPlugins(config: Pick<Config, 'cni'>, seen: SeenMachine): string[] {
  const [own] = pluginPaths(config)
  return pluginPaths(config).filter(
    path =>
      isLinkTo(seen, path, EXECUTABLE) ||
      (path === own ? seen.paths.get(path)?.kind === 'file' : own !== undefined && isLinkTo(seen, path, own)),
  )
}

export function planPluginInstall({ config, executable }: Wanted, seen: SeenMachine): InstallPlan {
  const [own, loopback] = pluginPaths(config)
  if (own === undefined || loopback === undefined) throw new Error('the plugin has two names')
  const what = 'CNI plugin'
  const foreign = seen.paths.has(loopback) && !installedPlugins(config, seen).includes(loopback)
  const steps: Step[] = [
    isFileOf(seen, own, executable.sha256)
      ? { do: 'leave', what, path: own, why: 'unchanged' }
      : { do: 'copy', what, from: executable.from, path: own },
    loopbackStep(seen, { loopback, own, foreign }),
    ...giveBackSteps(config, seen),
  ]
  const units = UNITS.filter(path => seen.paths.has(path))
  const message = `${units.join(' and ')}: a node is installed here as services; terway-edge uninstall ends them first`
  return { steps, problems: units.length === 0 ? [] : [{ path: 'units', message }] }
}

function loopbackStep(
  seen: SeenMachine,
  { loopback, own, foreign }: { readonly loopback: string; readonly own: string; readonly foreign: boolean },
): Step {
  const what = 'CNI plugin'
  if (foreign) return { do: 'leave', what, path: loopback, why: 'kept' }
  if (isLinkTo(seen, loopback, own)) return { do: 'leave', what, path: loopback, why: 'unchanged' }
  return { do: 'link', what, path: loopback, target: own }
}
