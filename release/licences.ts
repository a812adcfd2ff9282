import type { BundledPackage } from './packages.ts'

const rule = '-'.repeat(78)

/** The licences of what is in the bundle: in full, or as `textOf` has them. */
export function thirdPartyLicences(
  packages: readonly BundledPackage[],
  textOf: (one: BundledPackage) => string = ({ licenceText }) => licenceText,
): string {
  const sections = packages.map((one) => {
    const { name, version, licence, homepage, notice } = one
    const head = [rule, `${name} ${version} (${licence})`, ...(homepage ? [homepage] : [])].join('\n')
    return [head, textOf(one), ...(notice ? [notice] : [])].join('\n\n')
  })
  return `plenum.js contains the following packages, each under the licence that is printed with it.\n\n${sections.join('\n\n')}\n`
}
