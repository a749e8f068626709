"""`app-config.js`: what OHIF is told at its start (OHIF 3.12, window.config)."""

from __future__ import annotations

from typing import Any

import msgspec

_DICOMWEB = "@ohif/extension-default.dataSourcesModule.dicomweb"


def script(dicomweb: str) -> bytes:
    """A script that sets the configuration. `dicomweb` is the path of the service on the same host."""
    return b"window.config = %s;\n" % msgspec.json.format(msgspec.json.encode(_settings(dicomweb)))


def _settings(dicomweb: str) -> dict[str, Any]:
    return {
        "name": "radstream",
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "customizationService": {},
        "showStudyList": True,
        "maxNumberOfWebWorkers": 3,
        "showWarningMessageForCrossOrigin": True,
        "showCPUFallbackMessage": True,
        "showLoadingIndicator": True,
        "strictZSpacingForVolumeViewport": True,
        "groupEnabledModesFirst": True,
        "showErrorDetails": "production",
        "investigationalUseDialog": {"option": "never"},
        "maxNumRequests": {"interaction": 20, "thumbnail": 10, "prefetch": 10},
        "defaultDataSourceName": "radstream",
        "dataSources": [{"namespace": _DICOMWEB, "sourceName": "radstream", "configuration": _source(dicomweb)}],
    }


def _source(dicomweb: str) -> dict[str, Any]:
    return {
        "friendlyName": "radstream",
        "name": "radstream",
        "wadoUriRoot": dicomweb,
        "qidoRoot": dicomweb,
        "wadoRoot": dicomweb,
        "qidoSupportsIncludeField": True,
        "supportsReject": False,
        "supportsStow": True,
        "dicomUploadEnabled": False,
        "imageRendering": "wadors",
        "thumbnailRendering": "thumbnail",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "singlepart": "bulkdata,video,pdf",
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
    }
