<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">
      <colorPalette>
        <paletteEntry value="0" label="no building" color="#404040" alpha="0" />
        <paletteEntry value="1" label="no damage" color="#2ca25f" alpha="255" />
        <paletteEntry value="2" label="minor damage" color="#ffe066" alpha="255" />
        <paletteEntry value="3" label="major damage" color="#fd8d3c" alpha="255" />
        <paletteEntry value="4" label="destroyed" color="#d7191c" alpha="255" />
        <paletteEntry value="255" label="not observed" color="#ffffff" alpha="0" />
      </colorPalette>
    </rasterrenderer>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
