/** Every vendor by its name, those that are tested with the real program first. Pure. */
import { aristaEos } from './arista-eos.ts'
import { bird } from './bird.ts'
import { ciscoIosXr } from './cisco-ios-xr.ts'
import { ciscoNxOs } from './cisco-nx-os.ts'
import { frr } from './frr.ts'
import { gobgp } from './gobgp.ts'
import { h3cComware } from './h3c-comware.ts'
import { huaweiVrp } from './huawei-vrp.ts'
import { ciscoIosXe, ruijie } from './ios-like.ts'
import { juniperJunos } from './juniper-junos.ts'
import { mikrotikRouteros } from './mikrotik-routeros.ts'
import { nokiaSrlinux } from './nokia-srlinux.ts'
import { openbgpd } from './openbgpd.ts'
import { sonic } from './sonic.ts'
import type { Vendor } from './vendor.ts'
import { vyos } from './vyos.ts'

export const VENDORS: readonly Vendor[] = [
  frr,
  bird,
  gobgp,
  openbgpd,
  ciscoIosXe,
  ciscoNxOs,
  ciscoIosXr,
  aristaEos,
  juniperJunos,
  huaweiVrp,
  h3cComware,
  ruijie,
  nokiaSrlinux,
  sonic,
  mikrotikRouteros,
  vyos,
]
