// Instead of STAC Browser's own: no map behind the catalogue unless `mage-stac serve --basemap` names one.
export default function configureBasemap() {
  const { url, attributions } = window.MAGE_STAC_BASEMAP || {};
  return url ? [{ url, is: 'XYZ', title: attributions || url, attributions, projection: 'EPSG:3857' }] : [];
}
