/** Every endpoint of devices: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../../platform/cursor.ts';
import { etagOf, IfMatchHeaders } from '../../../platform/etag.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import {
  Device,
  DeviceRequest,
  type Devices,
  EditDeviceRequest,
  editDevice,
  getDevice,
  ListDevicesQuery,
  listDevices,
  registerDevice,
} from './devices.ts';

const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const Params = Type.Object({ device_id: Id('dev') });

export function deviceRoutes(devices: Devices): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = devices;
    const tags = ['Devices'];

    app.get(
      '/api/v2/devices',
      {
        config: { permission: 'devices:read' },
        schema: {
          summary: 'List devices, newest first',
          tags,
          querystring: ListDevicesQuery,
          response: { 200: Page(Device), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listDevices(tx, caller, query)),
    );

    app.post(
      '/api/v2/devices',
      {
        config: { permission: 'devices:edit' },
        schema: {
          summary: 'Register a device with its public key',
          tags,
          headers: IdempotencyHeaders,
          body: DeviceRequest,
          response: { 201: Device, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/devices');
        const { device, version, replayed } = await registerDevice(
          devices,
          request.caller,
          request.body,
          attempt,
        );
        request.audit({ subject: device.id, ...(replayed ? {} : { after: device }) });
        answerCreated(reply, `/api/v2/devices/${device.id}`, replayed);
        reply.header('etag', etagOf(version));
        return device;
      },
    );

    app.get(
      '/api/v2/devices/:device_id',
      {
        config: { permission: 'devices:read' },
        schema: { summary: 'A device', tags, params: Params, response: { 200: Device, ...refusals } },
      },
      async ({ caller, params }, reply) => {
        const uuid = uuidOf('dev', params.device_id);
        const { device, version } = await db.read(caller, (tx) => getDevice(tx, caller, uuid));
        reply.header('etag', etagOf(version));
        return device;
      },
    );

    app.patch(
      '/api/v2/devices/:device_id',
      {
        config: { permission: 'devices:edit' },
        schema: {
          summary: 'Edit, disable or enable a device; it acts at once',
          tags,
          params: Params,
          headers: IfMatchHeaders,
          body: EditDeviceRequest,
          response: { 200: Device, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const uuid = uuidOf('dev', params.device_id);
        const { before, after, version } = await editDevice(devices, caller, uuid, body, headers['if-match']);
        request.audit({ subject: after.id, before, after });
        reply.header('etag', etagOf(version));
        return after;
      },
    );
  };
}
