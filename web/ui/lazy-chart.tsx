import { Skeleton } from '@mantine/core';
import { lazy, Suspense } from 'react';
import type { ChartProps } from './chart.tsx';

const Loaded = lazy(() => import('./chart.tsx'));

/** A chart, whose library is loaded when the first one is shown. */
export function Chart(props: ChartProps) {
  return (
    <Suspense fallback={<Skeleton h={props.height ?? 220} />}>
      <Loaded {...props} />
    </Suspense>
  );
}
