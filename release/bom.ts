import { createHash } from 'node:crypto'
import type { BundledPackage, Contents } from './packages.ts'

export type Product = Readonly<{
  name: string
  version: string
  description: string
  licence: string
  /** The bundle's bytes. */
  bundle: Uint8Array
  date: Date
}>

type Component = {
  type: 'application' | 'library'
  'bom-ref': string
  group?: string
  name: string
  version: string
  description?: string
  hashes?: { alg: string; content: string }[]
  licenses: { license: { id: string } }[]
  purl: string
  pedigree?: { patches: { type: 'unofficial' }[]; notes: string }
}

/** What is in the bundle otherwise than it was published. */
const repaired: Readonly<Record<string, string>> = {
  postgres: 'Repaired by patches/postgres+3.4.9.patch; the hash is that of the package before.',
}

/** The bill of materials of the bundle: CycloneDX 1.6, the same for the same bundle and date. */
export function billOfMaterials(product: Product, { direct, packages }: Contents): string {
  const { name, version, description, licence, bundle, date } = product
  const sha256 = createHash('sha256').update(bundle).digest('hex')
  const whole: Component = {
    type: 'application',
    'bom-ref': `pkg:generic/${name}@${version}`,
    name,
    version,
    description,
    hashes: [{ alg: 'SHA-256', content: sha256 }],
    licenses: [{ license: { id: licence } }],
    purl: `pkg:generic/${name}@${version}`,
  }
  const refs = new Map(packages.map((one) => [one.name, purl(one)]))
  const dependsOn = (names: readonly string[]): string[] => names.flatMap((name) => refs.get(name) ?? [])
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuid(sha256)}`,
    version: 1,
    metadata: {
      timestamp: date.toISOString(),
      lifecycles: [{ phase: 'build' }],
      component: whole,
    },
    components: packages.map(component),
    dependencies: [
      { ref: whole['bom-ref'], dependsOn: dependsOn(direct) },
      ...packages.map((one) => ({ ref: purl(one), dependsOn: dependsOn(one.imports) })),
    ],
  }
  return `${JSON.stringify(bom, null, 2)}\n`
}

function component(one: BundledPackage): Component {
  const [scope, bare] = one.name.startsWith('@') ? one.name.split('/') : [undefined, one.name]
  const notes = repaired[one.name]
  return {
    type: 'library',
    'bom-ref': purl(one),
    ...(scope ? { group: scope } : {}),
    name: bare ?? one.name,
    version: one.version,
    ...(one.integrity ? { hashes: [hash(one.integrity)] } : {}),
    licenses: [{ license: { id: one.licence } }],
    purl: purl(one),
    ...(notes ? { pedigree: { patches: [{ type: 'unofficial' }], notes } } : {}),
  }
}

function purl({ name, version }: BundledPackage): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

/** Of a subresource integrity string, as package-lock.json has it. */
function hash(integrity: string): { alg: string; content: string } {
  const [, bits, base64 = ''] = /^sha(256|384|512)-([\w+/]+=*)$/.exec(integrity) ?? []
  if (!bits) throw new Error('an integrity in package-lock.json is not a SHA-2 hash')
  return { alg: `SHA-${bits}`, content: Buffer.from(base64, 'base64').toString('hex') }
}

/** A UUID of version 8, whose digits are ours to choose: the same bundle has the same one. */
function uuid(hex: string): string {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}
