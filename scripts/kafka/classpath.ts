/** Java programs that tests and development run: Maven resolves what they are made of, once, from a pom.xml. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = fileURLToPath(new URL('../../node_modules/.cache/financialapi-kafka', import.meta.url));

/** Why the programs of these poms cannot be run here, in words for a human; undefined when they can. */
export function whyNoJava(...poms: readonly string[]): string | undefined {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
  if (java.status !== 0)
    return 'Kafka needs Java 17 or newer, and there is no `java` (Debian: default-jre-headless)';
  const version = Number(/version "(\d+)/.exec(java.stderr)?.[1] ?? 0);
  if (version < 17) return `Kafka needs Java 17 or newer; \`java\` is version ${version}`;
  if (poms.every((pom) => cachedClasspath(pom) !== undefined)) return undefined;
  if (spawnSync('mvn', ['--version']).status !== 0) {
    return 'the artifacts of Kafka are fetched by Maven, and there is no `mvn` (Debian: maven)';
  }
  return undefined;
}

function classpathFile(pom: string): string {
  const hash = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 16);
  return join(cache, `${hash}.classpath`);
}

/** The classpath as Maven resolved it once, if all of it is still there. */
function cachedClasspath(pom: string): string | undefined {
  const file = classpathFile(pom);
  if (!existsSync(file)) return undefined;
  const classpath = readFileSync(file, 'utf8').trim();
  return classpath.split(delimiter).every((jar) => existsSync(jar)) ? classpath : undefined;
}

/** Fetches what a pom names, once; a later call takes no time. Answers the classpath. */
export function resolveClasspath(pom: string, onProgress: (line: string) => void): string {
  const reason = whyNoJava(pom);
  if (reason !== undefined) throw new Error(reason);
  const cached = cachedClasspath(pom);
  if (cached !== undefined) return cached;
  onProgress('fetching the artifacts of Kafka with Maven, once …');
  mkdirSync(cache, { recursive: true });
  const goal = ['dependency:build-classpath', `-Dmdep.outputFile=${classpathFile(pom)}`];
  const run = spawnSync('mvn', ['-q', '-B', '-f', pom, ...goal], { encoding: 'utf8' });
  const classpath = run.status === 0 ? cachedClasspath(pom) : undefined;
  if (classpath === undefined) {
    throw new Error(`Maven could not resolve ${pom}:\n${run.stdout}${run.stderr}`);
  }
  return classpath;
}
