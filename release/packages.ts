import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

/** A package of which something is in the bundle. */
export type BundledPackage = Readonly<{
  name: string
  version: string
  /** An SPDX identifier, one of `knownLicences`. */
  licence: string
  licenceText: string
  /** What the Apache licence wants to be passed on, where there is one. */
  notice: string | null
  homepage: string | null
  /** Of the package as it was downloaded, in the form of package-lock.json; null where that does not say it. */
  integrity: string | null
  /** Names of the bundled packages that it imports. */
  imports: readonly string[]
}>

/** Which licences may be in a release, and by which words their text is known. */
const knownLicences: Readonly<Record<string, RegExp>> = {
  MIT: /Permission is hereby granted, free of charge.*shall be\s+included in\s+all/s,
  'Apache-2.0': /Apache License\s+Version 2\.0, January 2004/,
  'BSD-2-Clause': /Redistribution and use in source and binary forms/,
  'BSD-3-Clause': /Redistribution and use in source and binary forms.*Neither the name/s,
  'BlueOak-1.0.0': /Blue Oak Model License\s.*Version 1\.0\.0\s.*Each contributor licenses you/s,
  ISC: /Permission to use, copy, modify, and\/or distribute this software/,
  Unlicense: /free and unencumbered software released into the public domain/,
}

const modules = 'node_modules'
/** The folder of what is in no package. */
const own = ''

/** Texts for those packages that do not carry the one of their licence. */
const suppliedTexts = new URL('licences/', import.meta.url)

/** What is in a bundle besides our own code, which imports the `direct` ones. */
export type Contents = Readonly<{ direct: readonly string[]; packages: readonly BundledPackage[] }>

/**
 * The packages that are in a bundle, by name; what the tree shaking has left nothing of is not. Throws where a licence or
 * its text is missing or not known.
 */
export async function bundledPackages(metafile: Metafile, root: string): Promise<Contents> {
  const [output, ...more] = Object.values(metafile.outputs)
  if (!output || more.length > 0) throw new Error('the build has not made one file')
  const inside = Object.keys(output.inputs).filter((file) => output.inputs[file]?.bytesInOutput !== 0)
  const folders = new Set(inside.map(packageFolder))
  const importedBy = (folder: string): string[] => {
    const files = inside.filter((file) => packageFolder(file) === folder)
    const imports = files.flatMap((file) => metafile.inputs[file]?.imports ?? [])
    const others = new Set(imports.map(({ path }) => packageFolder(path)))
    return [...others]
      .filter((other) => other !== folder && other !== own && folders.has(other))
      .map(packageName)
      .sort()
  }
  const integrities = await readIntegrities(root)
  const packages = [...folders]
    .filter((folder) => folder !== own)
    .map(async (folder) => ({
      ...(await describePackage(join(root, folder))),
      integrity: integrities.get(folder) ?? null,
      imports: importedBy(folder),
    }))
  return { direct: importedBy(own), packages: (await Promise.all(packages)).sort(byName) }
}

function byName(a: BundledPackage, b: BundledPackage): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

/** The innermost package's folder of a path in the metafile. */
function packageFolder(path: string): string {
  const start = path.lastIndexOf(`${modules}/`)
  if (start < 0) return own
  const [scope = '', name = ''] = path.slice(start + modules.length + 1).split('/')
  return path.slice(0, start) + [modules, scope, ...(scope.startsWith('@') ? [name] : [])].join('/')
}

function packageName(folder: string): string {
  return folder.slice(folder.lastIndexOf(`${modules}/`) + modules.length + 1)
}

async function readIntegrities(root: string): Promise<Map<string, string>> {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { integrity?: string }>
  }
  return new Map(
    Object.entries(packages).flatMap(([folder, { integrity }]) => (integrity ? [[folder, integrity]] : [])),
  )
}

async function describePackage(folder: string): Promise<Omit<BundledPackage, 'integrity' | 'imports'>> {
  const { name, version, license, homepage } = JSON.parse(
    await readFile(join(folder, 'package.json'), 'utf8'),
  ) as { name: string; version: string; license?: unknown; homepage?: string }
  const words = typeof license === 'string' ? knownLicences[license] : undefined
  if (typeof license !== 'string' || !words)
    throw new Error(`${name} ${version} has the licence ${JSON.stringify(license)}, which is not a known one`)
  const licenceText = (await readTexts(folder, /^(?:un)?licen[cs]e|^copying/i)) ?? (await suppliedText(name))
  if (!words.test(licenceText))
    throw new Error(`${name} ${version} says that its licence is ${license}, but the text is another`)
  const notice = await readTexts(folder, /^notice/i)
  return { name, version, licence: license, licenceText, notice, homepage: homepage ?? null }
}

/** The package's files of such names, null if there is none. */
async function readTexts(folder: string, names: RegExp): Promise<string | null> {
  const files = (await readdir(folder)).filter((file) => names.test(file)).sort()
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
  return texts.length > 0 ? texts.map((text) => text.replaceAll('\r\n', '\n').trimEnd()).join('\n\n') : null
}

async function suppliedText(name: string): Promise<string> {
  const file = `${name.replace('/', '__')}.txt`
  try {
    return (await readFile(new URL(file, suppliedTexts), 'utf8')).trimEnd()
  } catch (error) {
    throw new Error(`${name} comes without the text of its licence: release/licences/${file} would have it`, {
      cause: error,
    })
  }
}
