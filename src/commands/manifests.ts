/**
 * `terway-edge manifests`: what a cluster needs before the first node, as YAML for kubectl apply. The documents are those of config/,
 * embedded; only names that an operator chooses are put in.
 */

import controllerManifest from '../../config/controller.yaml' with { type: 'text' }
import bgpPeersCrd from '../../config/crd-bgppeers.yaml' with { type: 'text' }
import eniNodesCrd from '../../config/crd-eninodes.yaml' with { type: 'text' }
import routeSlicesCrd from '../../config/crd-routeslices.yaml' with { type: 'text' }
import rbac from '../../config/rbac.yaml' with { type: 'text' }
import { UserError } from '../lib/errors.ts'
import { print } from '../lib/stdout.ts'
import { createProgram, runProgram } from './program.ts'
import { versionInfo } from './version.ts'

interface Options {
  readonly bgpSecret: string[]
  readonly image?: string
  readonly part: string
}

const PARTS = ['all', 'crds', 'rbac', 'controller'] as const

export function manifestsCommand(args: string[]): Promise<number> {
  const program = createProgram('manifests', 'Prints the CRDs, the roles and the controller as YAML.', [
    'terway-edge manifests --image registry.example/terway-edge:0.1.0 | kubectl apply -f -',
    'terway-edge manifests --part rbac --bgp-secret bgp-secret-a bgp-secret-b | kubectl apply -f -',
  ])
    .option('--bgp-secret <names...>', 'Secrets in kube-system that BGPPeers take passwords from', ['bgp-secret'])
    .option('--image <image>', 'the image of the controller (default: terway-edge:<this version>)')
    .option('--part <part>', `one of ${PARTS.join(', ')}`, 'all')
  return runProgram<Options>(program, args, async options => {
    print(manifests(options))
    return 0
  })
}

/** The documents asked for, separated by `---`. */
function manifests(options: Options): string {
  const image = options.image ?? `terway-edge:${versionInfo().version}`
  if (!/^[^\s]+$/.test(image)) throw new UserError('--image: name the image of the controller', { exitStatus: 2 })
  const parts: Readonly<Record<string, readonly string[]>> = {
    crds: [bgpPeersCrd, routeSlicesCrd, eniNodesCrd],
    rbac: [
      rbac.replaceAll(
        'resourceNames: [bgp-secret]',
        `resourceNames: [${options.bgpSecret.map(secretName).join(', ')}]`,
      ),
    ],
    controller: [controllerManifest.replace('image: terway-edge:VERSION', `image: ${JSON.stringify(image)}`)],
  }
  const chosen = options.part === 'all' ? Object.values(parts).flat() : parts[options.part]
  if (chosen === undefined)
    throw new UserError(`--part ${options.part}: there is ${PARTS.join(', ')}`, { exitStatus: 2 })
  return chosen
    .map(text => text.trimEnd())
    .join('\n---\n')
    .concat('\n')
}

/** RFC 1123 subdomain, as Kubernetes wants the name of a Secret. */
function secretName(name: string): string {
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name))
    throw new UserError(`--bgp-secret ${name}: not a name of a Secret`, { exitStatus: 2 })
  return name
}
