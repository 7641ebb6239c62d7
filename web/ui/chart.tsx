/** Charts, by ECharts; loaded when the first one is shown. */
import { Box, useComputedColorScheme } from '@mantine/core';
import { BarChart, LineChart } from 'echarts/charts';
import { DatasetComponent, GridComponent, LegendComponent, TooltipComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'react';

use([
  LineChart,
  BarChart,
  GridComponent,
  TooltipComponent,
  LegendComponent,
  DatasetComponent,
  CanvasRenderer,
]);

interface Series {
  name: string;
  kind: 'line' | 'bar';
  /** Time in Unix milliseconds, or a category, and a value that is drawn, never reckoned with. */
  points: readonly (readonly [number | string, number])[];
  stack?: string;
}

export interface ChartProps {
  /** Said to whoever cannot see it. */
  label: string;
  series: readonly Series[];
  axis: 'time' | 'category';
  /** From when to when it shows, where that is more than there are points. */
  span?: readonly [number, number];
  height?: number;
  format?: (value: number) => string;
}

export default function Chart({ label, series, axis, span, height = 220, format }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme('light');
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const style = getComputedStyle(element);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const chart = init(element);
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: style.fontFamily },
      color: [
        color('--mantine-color-tide-filled'),
        color('--mantine-color-orange-5'),
        color('--mantine-color-grape-5'),
        color('--mantine-color-blue-5'),
        color('--mantine-color-gray-5'),
      ],
      grid: { left: 8, right: 12, top: series.length > 1 ? 30 : 12, bottom: 4, containLabel: true },
      ...(series.length > 1
        ? { legend: { top: 0, textStyle: { color: color('--mantine-color-text') } } }
        : {}),
      tooltip: {
        trigger: 'axis',
        backgroundColor: color('--mantine-color-body'),
        borderColor: color('--mantine-color-default-border'),
        textStyle: { color: color('--mantine-color-text') },
        ...(format === undefined ? {} : { valueFormatter: (value: unknown) => format(Number(value)) }),
      },
      xAxis: {
        type: axis,
        ...(span === undefined ? {} : { min: span[0], max: span[1] }),
        axisLabel: { color: color('--mantine-color-dimmed'), hideOverlap: true },
        axisLine: { lineStyle: { color: color('--mantine-color-default-border') } },
      },
      yAxis: {
        type: 'value',
        // What bars mean is their length.
        scale: series.every(({ kind }) => kind === 'line'),
        axisLabel: {
          color: color('--mantine-color-dimmed'),
          ...(format === undefined ? {} : { formatter: (value: number) => format(value) }),
        },
        splitLine: { lineStyle: { color: color('--mantine-color-default-border'), opacity: 0.5 } },
      },
      series: series.map(({ name, kind, points, stack }) => ({
        name,
        type: kind,
        data: points.map((point) => [...point]),
        ...(kind === 'line'
          ? { step: 'end', showSymbol: points.length < 40, areaStyle: { opacity: 0.08 } }
          : { barMaxWidth: 26 }),
        ...(stack === undefined ? {} : { stack }),
      })),
    });
    const observer = new ResizeObserver(() => chart.resize());
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.dispose();
    };
    // The colours are read anew when they change.
  }, [series, axis, span, format, scheme]);
  return <Box ref={place} role="img" aria-label={label} h={height} w="100%" />;
}
